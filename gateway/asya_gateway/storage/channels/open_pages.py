"""Open destinations page by page, in the order in which they are due. Most of them lag behind nothing, so that a search
for those that do looks at many: each statement looks at one page, and each turn at a few."""

PAGE = 1_000
"""Destinations that a statement looks at."""
PAGES = 10
"""Statements of a turn. The next one continues where it has stopped."""

OPEN = "NOT done AND disabled_reason IS NULL"
"""The condition of destinations_open."""


def open_page(columns: str, *, after: str, size: str, more: str = "true") -> str:
    """SQL for the page behind the time `after`, null for the first one. Both are parameters, `more` is a condition. A
    page ends with all that are due at the same time."""
    return f"""
    SELECT {columns} FROM destinations
    WHERE {OPEN} AND not_before > coalesce({after}::timestamptz, '-infinity') AND {more}
    ORDER BY not_before FETCH FIRST {size} ROWS WITH TIES"""
