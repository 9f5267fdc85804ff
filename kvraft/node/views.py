"""Moments of the state for calls that read for long: streamed ranges, counts, exports, checks.

Each keeps the space of what is deleted meanwhile from being used again, and has its share of the loop, so a
node has only so many at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kvraft import errors
from kvraft.storage.interfaces import StateStore, StateView

VIEWS_MAX = 256


class Views:
    """What clients read of one node."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Room for one. Raises RequestError (OVERLOADED)."""
        if self._open >= VIEWS_MAX:
            raise errors.overloaded(f"{VIEWS_MAX:,} calls read a moment of the state of this node already")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @contextmanager
    def open(self, state: StateStore) -> Iterator[StateView]:
        """The state as it is now, closed in the end. Raises RequestError (OVERLOADED), StorageError."""
        with self.admit(), closing(state.view()) as view:
            yield view
