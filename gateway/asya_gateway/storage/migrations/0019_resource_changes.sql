-- When the resources that flows offer last changed, as actors announced it. Subscribers are woken by a notification, and
-- read their own resources each second besides. Rows are removed an hour after their change.
CREATE TABLE resource_changes (
    uri text PRIMARY KEY,
    number bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX resource_changes_by_age ON resource_changes (changed_at);
