"""How much room a disk has, and what a node does with it.

The reserve is what the log, flushes and copies of the state live on when the disk is otherwise full, so
that deletes, acknowledgements and whatever else makes room always can be done. Above it, history and log
may each take a quarter of what the disk would have without them; so they shrink as the data grows, and are
nearly nothing when growth is refused. Pages that deleted rows have left free in the state's file count as
room for new rows, though no other program can have them: for that the files are made anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.storage.interfaces import DiskSpace, StateUsage

WASTE_BYTES_MAX = 1 << 30
"""So many free pages are given back, ..."""
WASTE_SHARE = 16
"""... or as many as this part of a smaller disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What may be done with the space of a disk as it is."""

    space: DiskSpace
    reserve_bytes: int
    usage: StateUsage
    log_bytes: int

    @property
    def refuses_growth(self) -> bool:
        """Whether commands that grow the state are refused."""
        free_bytes = self.space.free_bytes
        return (
            free_bytes + self.usage.reusable_bytes < self.reserve_bytes
            or free_bytes < self._indispensable_bytes
        )

    @property
    def history_bytes_max(self) -> int:
        """What there is room for beside everything else."""
        return self._share(self.usage.history_bytes)

    @property
    def log_retained_bytes(self) -> int:
        """The same, of log that recovery does not need."""
        return self._share(self.log_bytes)

    @property
    def fits_copy(self) -> bool:
        """Whether the state may be copied beside itself."""
        return self.space.free_bytes - self._indispensable_bytes > self.usage.rows_bytes * 9 // 8

    @property
    def is_wasteful(self) -> bool:
        """Whether half of the state's file is free pages, and they would be more than what is free beside the
        reserve."""
        waste = self.usage.reusable_bytes
        return (
            waste >= self.usage.rows_bytes
            and waste >= min(WASTE_BYTES_MAX, self.space.total_bytes // WASTE_SHARE)
            and waste >= self._headroom_bytes
        )

    @property
    def _indispensable_bytes(self) -> int:
        """For segments of the log and new pages of the state, whatever else is reusable."""
        return self.reserve_bytes // 4

    @property
    def _headroom_bytes(self) -> int:
        return max(0, self.space.free_bytes - self.reserve_bytes)

    def _share(self, taken_bytes: int) -> int:
        return 0 if self.refuses_growth else (self._headroom_bytes + taken_bytes) // 4
