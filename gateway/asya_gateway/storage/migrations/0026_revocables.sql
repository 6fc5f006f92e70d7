-- concurrently
-- What the revocation of a key, grant or client ends, found by what is revoked. Entries are not collected first
-- (fastupdate): each revocation would read that list from one end to the other.
DROP INDEX CONCURRENTLY IF EXISTS mcp_sessions_by_revocable;

CREATE INDEX CONCURRENTLY mcp_sessions_by_revocable ON mcp_sessions USING gin (revocables)
    WITH (fastupdate = off) WHERE revocables <> '{}';

-- The condition is one expression, which implies no other index's condition: a planner that believes that few
-- destinations are open would otherwise read all of those.
DROP INDEX CONCURRENTLY IF EXISTS destinations_by_revocable;

CREATE INDEX CONCURRENTLY destinations_by_revocable ON destinations USING gin (revocables)
    WITH (fastupdate = off)
    WHERE CASE WHEN done OR disabled_reason IS NOT NULL OR revocables = '{}' THEN false ELSE true END;
