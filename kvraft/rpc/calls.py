"""The calls of clients that are under way at this node, and the bytes of their answers that nobody has taken
yet.

gRPC keeps an answer until HTTP/2's flow control lets it go, for as long as its connection lives, and nothing
can take it back. So an answer that is not small is accounted for before it is handed over, and until it is
sent or its call has ended; what there is no room for is not made. A connection that holds much and takes
nothing is ended: gRPC cannot do that for one connection, but the kernel can (`kvraft.rpc.connections`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import grpc.aio
import structlog

from kvraft import errors
from kvraft.node.sharing import CONNECTION, Share
from kvraft.rpc import connections

CALLS_MAX = 10_000
"""Calls and streams under way at a node, about 30 KiB each."""
ANSWER_BYTES_MAX = 128 << 20
"""Of answers that wait to be taken, of all connections together. In memory each may be there twice."""
SMALL_ANSWER_BYTES = 16 << 10
"""An answer up to this size is not accounted for: the limits of calls bound how many there are."""
PATIENCE_S = 60.0
IDLE_BYTES_MAX = 16 << 20
"""A connection of whose answers so much waits, and the oldest for `PATIENCE_S`, is ended."""

_log = structlog.get_logger(__name__)


class Calls:
    """All calls of a node."""

    __slots__ = ("_end_connection", "_oldest", "_timer", "answer_bytes", "under_way")

    def __init__(self, *, end_connection: Callable[[str], object] = connections.end) -> None:
        self._end_connection = end_connection
        self.under_way = Share(CALLS_MAX)
        self.answer_bytes = Share(ANSWER_BYTES_MAX)
        self._oldest: dict[Call, float] = {}
        """Calls with answers that wait, and since when the oldest of each does, by the loop's clock;
        ascending."""
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
        """A call begins, in a task of its own. Raises RequestError (OVERLOADED)."""
        connection = context.peer()
        if not self.answer_bytes.has_room(connection):
            raise errors.overloaded(self.answer_bytes.refusal(connection, _WHAT_WAITS))
        if not self.under_way.take(connection):
            raise errors.overloaded(self.under_way.refusal(connection, "calls and streams"))
        call = Call(self, connection)
        context.add_done_callback(call.end)  # type: ignore[arg-type]
        CONNECTION.set(connection)
        CALL.set(call)
        return call

    def waits(self, call: Call) -> None:
        """Something is held for `call`, which held nothing."""
        loop = asyncio.get_running_loop()
        self._oldest[call] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE_S, self._look)

    def waits_no_more(self, call: Call) -> None:
        """Nothing is held for `call` any more."""
        self._oldest.pop(call, None)

    def _look(self) -> None:
        """Ends the connections that take nothing."""
        now_s = asyncio.get_running_loop().time()
        late = {call.connection for call, since_s in self._oldest.items() if now_s - since_s >= PATIENCE_S}
        for connection in late:
            held_bytes = self.answer_bytes.held_by(connection)
            if held_bytes >= IDLE_BYTES_MAX:
                _log.warning(
                    "a connection that takes no answers is ended", client=connection, bytes=held_bytes
                )
                self._end_connection(connection)
        self._timer = (
            asyncio.get_running_loop().call_later(PATIENCE_S / 4, self._look) if self._oldest else None
        )


class Call:
    """A call of a client."""

    __slots__ = ("_calls", "_held_bytes", "connection")

    def __init__(self, calls: Calls, connection: str) -> None:
        self._calls = calls
        self._held_bytes = 0
        self.connection = connection

    def hold(self, size_bytes: int) -> bool:
        """Whether there is room for an answer; from then on it counts, until `release` or the end."""
        if size_bytes <= SMALL_ANSWER_BYTES:
            return True
        if not self._calls.answer_bytes.take(self.connection, size_bytes):
            return False
        if not self._held_bytes:
            self._calls.waits(self)
        self._held_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """The answer was taken."""
        if size_bytes > SMALL_ANSWER_BYTES:
            self._calls.answer_bytes.give_back(self.connection, size_bytes)
            self._held_bytes -= size_bytes
            # What is sent in order and one at a time waits anew.
            self._calls.waits_no_more(self)
            if self._held_bytes:
                self._calls.waits(self)

    def end(self, _: Any) -> None:
        """gRPC keeps nothing of the call any more."""
        self._calls.under_way.give_back(self.connection)
        if self._held_bytes:
            self._calls.answer_bytes.give_back(self.connection, self._held_bytes)
            self._held_bytes = 0
            self._calls.waits_no_more(self)

    def refusal(self) -> str:
        """Why `hold` refused, in words."""
        return self._calls.answer_bytes.refusal(self.connection, _WHAT_WAITS)


CALL: ContextVar[Call] = ContextVar("call")
"""That of the running task."""

_WHAT_WAITS = "bytes of answers that wait to be taken"
