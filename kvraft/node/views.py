"""Moments of the state for calls that read for long: streamed ranges, counts, exports, checks.

Each keeps the space of what is deleted meanwhile from being used again, and has its share of the loop, so a
node has only so many at a time, and a connection its share of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kvraft import errors
from kvraft.node.sharing import CONNECTION, Share
from kvraft.storage.interfaces import StateStore, StateView

VIEWS_MAX = 256


class Views:
    """What clients read of one node."""

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share = Share(VIEWS_MAX)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Room for one. Raises RequestError (OVERLOADED)."""
        connection = CONNECTION.get()
        if not self.share.take(connection):
            raise errors.overloaded(self.share.refusal(connection, "calls that read a moment of the state"))
        try:
            yield
        finally:
            self.share.give_back(connection)

    @contextmanager
    def open(self, state: StateStore) -> Iterator[StateView]:
        """The state as it is now, closed in the end. Raises RequestError (OVERLOADED), StorageError."""
        with self.admit(), closing(state.view()) as view:
            yield view
