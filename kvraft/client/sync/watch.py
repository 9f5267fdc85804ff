"""A watch for code without an event loop."""

from __future__ import annotations

from kvraft.client.sync.iterating import BlockingWatch
from kvraft.client.watch import Event, EventBatch


class SyncWatch(BlockingWatch[EventBatch, Event]):
    """Iterates over changes and blocks until there is one, as `Watch`. `close`, from any thread, ends it."""

    __slots__ = ()
