"""What all kinds of watches have in common: how the deliveries of the node's `WatchHub` become responses, one
at a time, when the stream can take them.

While watches lag behind the state, whoever has nothing to send takes the next slice of the history for all of
them; so no task in the background is needed, and the loop turns between two slices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import TypeVar

from kvraft.node.watching import Delivery, WatchHub, WatchStream
from kvraft.storage.interfaces import Change

RESPONSE_BYTES_MAX = 1 << 20
RESPONSE_EVENTS_MAX = 1_000
"""A response ends when it has reached one of these, the first at keys and rows; one event more may exceed it.
A revision that has more is sent in fragments."""
PROGRESS_INTERVAL_S = 10.0

EventT = TypeVar("EventT")


async def deliveries(
    hub: WatchHub,
    stream: WatchStream,
    ready: asyncio.Event,
    *,
    progress_interval_s: float,
    is_over: Callable[[], bool],
) -> AsyncGenerator[Delivery, None]:
    """What `stream` delivers, until it `is_over`, which is asked when nothing is left to send. `ready` is set
    by the hub when there is something. Raises what `is_over` raises."""
    clock = asyncio.get_running_loop().time
    progress_due_s = clock() + progress_interval_s
    while True:
        ready.clear()
        while (delivery := stream.take()) is not None:
            yield delivery
        if clock() >= progress_due_s:
            progress_due_s = clock() + progress_interval_s
            stream.notify_quiet()
        elif is_over():
            return
        elif hub.lags:
            hub.catch_up()
            await asyncio.sleep(0)
        else:
            try:
                async with asyncio.timeout_at(progress_due_s):
                    await ready.wait()
            except TimeoutError:
                continue


def pages(
    revisions: Sequence[tuple[int, Sequence[Change]]],
    make_event: Callable[[int, Change], tuple[EventT, int]],
) -> Iterator[tuple[int, bool, list[EventT]]]:
    """The events in responses: the last revision of each, whether more of it follow, and the events, which
    `make_event` makes of a revision and a change; it says their sizes in bytes."""
    page: list[EventT] = []
    page_bytes = last = 0
    for revision, changes in revisions:
        for change in changes:
            if page_bytes >= RESPONSE_BYTES_MAX or len(page) >= RESPONSE_EVENTS_MAX:
                yield last, last == revision, page
                page, page_bytes = [], 0
            event, event_bytes = make_event(revision, change)
            page.append(event)
            page_bytes += event_bytes
            last = revision
    yield last, False, page
