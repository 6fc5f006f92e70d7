"""Where a reading of a table in the order of its ids begins."""

LATE = 10_000
"""How far below the oldest row's id the next reading begins, because a row with a lower id may become visible late."""
ANEW_EVERY = 100
"""Number of readings after which one begins at the first row again."""


def last_id(table: str) -> str:
    """SQL: the id that the table's sequence gave last, or null. It is known without reading a row."""
    return f"pg_sequence_last_value(pg_get_serial_sequence('{table}', 'id')::regclass)"


class FirstRow:
    """Removed rows below `id` may still exist for an old snapshot. Without it, each reading might pass a million of
    them."""

    def __init__(self) -> None:
        self.id = 0
        self._readings = 0

    def found(self, oldest: int) -> None:
        """The oldest row that a reading has found, or the table's last id if there was none."""
        self._readings += 1
        self.id = max(0, oldest - LATE) if self._readings % ANEW_EVERY else 0
