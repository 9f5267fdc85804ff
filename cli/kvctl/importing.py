"""Sends the lines of a file, many at a time, but to each user and group in the order of the file.

Every destination belongs to a lane, and a lane has one call under way, which takes all that waits there.

What was sent is known by the ids of the messages, so a line may be sent again without harm. A mark in the
cluster, moved now and then, says up to which line everything is done; the next run goes on from there.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING

from kvctl.message_lines import BadLineError, parse
from kvraft.copyable import Copyable

if TYPE_CHECKING:
    from kvraft.client import Client, KvraftError, OutgoingMessage, SendResult

MARK_PREFIX = b"kvctl/import/"
MARK_EVERY_S = 1.0
LINES_AT_ONCE = 1_000
"""Read from the file in one go."""
RETRY_S = 0.2
LANES = 16
CALL_MESSAGES_MAX = 100
CALL_BYTES_MAX = 2 << 20
"""A call ends with the message that reaches it."""


class Policy(StrEnum):
    """What to do about a line that is bad, or whose queue is full."""

    STOP = "stop"
    SKIP = "skip"
    WAIT = "wait"
    """Only for full queues."""


@dataclass(slots=True)
class Counts:
    """What came of it so far."""

    done: int = 0
    """Lines up to which everything is done, those of earlier runs included."""
    resumed: int = 0
    """Lines that earlier runs had done."""
    sent: int = 0
    duplicates: int = 0
    skipped: int = 0
    users: int = 0
    """Users that were registered."""
    waiting: int = 0
    """Messages that wait for room in a queue just now."""
    began_s: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began_s

    @property
    def per_s(self) -> float:
        return (self.sent + self.duplicates) / max(self.elapsed_s, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to import."""

    name: bytes
    """Of the mark; empty: there is none."""
    device_id: str
    """What a user's first device is called."""
    register: bool
    concurrency: int
    bad_lines: Policy
    full_queues: Policy
    patience_s: float
    """How long the cluster may be unavailable."""


class StoppedError(Copyable):
    """A line stopped the import; `__cause__` is the KvraftError if the cluster refused it."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number:,}: {why}")
        self.number = number


Waiting = list[tuple[int, "OutgoingMessage"]]
"""Messages with the numbers of their lines."""


class _Lane:
    """Messages that are sent one after the other: those of the same destination are on the same lane."""

    __slots__ = ("_has_come", "_is_closed", "_waiting", "taken")

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, OutgoingMessage]] = deque()
        self._has_come = asyncio.Event()
        self._is_closed = False
        self.taken = 0
        """How many the last `take` has taken."""

    def add(self, number: int, message: OutgoingMessage) -> None:
        self._waiting.append((number, message))
        self._has_come.set()

    def close(self) -> None:
        """Nothing more comes."""
        self._is_closed = True
        self._has_come.set()

    async def take(self) -> Waiting:
        """What fits one call; nothing: it is the end."""
        while not self._waiting and not self._is_closed:
            self._has_come.clear()
            await self._has_come.wait()
        taken: Waiting = []
        size_bytes = 0
        while self._waiting and len(taken) < CALL_MESSAGES_MAX and size_bytes < CALL_BYTES_MAX:
            taken.append(self._waiting.popleft())
            size_bytes += len(taken[-1][1].payload)
        self.taken = len(taken)
        return taken


class Importer:
    """One run."""

    def __init__(self, client: Client, plan: Plan, tell: Callable[[str], None]) -> None:
        """`tell` is given a line for people about each line that is skipped."""
        self._client = client
        self._plan = plan
        self._tell = tell
        self.counts = Counts()
        self._room = asyncio.Semaphore(plan.concurrency)
        self._lanes = [_Lane() for _ in range(LANES)]
        self._users: dict[str, asyncio.Task[None]] = {}
        self._done: set[int] = set()
        """Lines that are done before an earlier one is."""
        self._stopped: BaseException | None = None
        self._is_over = False
        """Nothing more is sent, not even what was read: it was interrupted, or the cluster is gone."""

    async def find_mark(self) -> int:
        """How many lines earlier runs have done. Raises KvraftError."""
        if not self._plan.name:
            return 0
        found = (await self._client.kv.get(MARK_PREFIX + self._plan.name)).kv
        return 0 if found is None else int(json.loads(found.value)["lines"])

    async def run(self, lines: IO[bytes], first: int) -> None:
        """Sends everything behind the first lines. Raises StoppedError, KvraftError. The mark is set in any
        case."""
        self.counts.done = self.counts.resumed = first
        marking = asyncio.create_task(self._mark_now_and_then())
        sending = [asyncio.create_task(self._send_all(lane)) for lane in self._lanes]
        try:
            try:
                async for number, line in _numbered(lines):
                    if number > first:
                        await self._add(number, line)
                    if self._stopped is not None:
                        break
                for lane in self._lanes:
                    lane.close()
                await asyncio.wait(sending)
            except BaseException:
                # Interrupted, or the file is broken. What is under way is waited for: the mark must be true.
                self._is_over = True
                for lane in self._lanes:
                    lane.close()
                await asyncio.wait(sending)
                raise
        finally:
            marking.cancel()
            await self._mark()
        if self._stopped is not None:
            raise self._stopped

    async def _add(self, number: int, line: bytes) -> None:
        if not line.strip():
            self._finish(number)
            return
        try:
            message = parse(line)
        except BadLineError as error:
            self._bad(number, str(error), None)
            return
        await self._room.acquire()
        destination = f"g:{message.group}" if message.group else f"u:{message.to}"
        self._lanes[zlib.crc32(destination.encode()) % LANES].add(number, message)

    # --- lanes ----------------------------------------------------------------------------------

    async def _send_all(self, lane: _Lane) -> None:
        """What comes on a lane, in order, as much at a time as has come."""
        while waiting := await lane.take():
            try:
                while waiting and not self._is_over:
                    waiting = await self._send(waiting)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends the import
                self._stopped, self._is_over = self._stopped or error, True
            finally:
                for _ in range(lane.taken):
                    self._room.release()

    async def _send(self, waiting: Waiting) -> Waiting:
        """Sends what waits; what has to be sent again, because a queue before it was full."""
        from kvraft.client import KvraftError

        results = await self._patiently([message for _, message in waiting])
        full: Waiting = []
        for (number, message), result in zip(waiting, results, strict=True):
            if isinstance(result, KvraftError):
                is_full = result.reason == "QUEUE_FULL"
                if is_full and self._plan.full_queues is Policy.WAIT:
                    full.append((number, message))
                elif is_full and self._plan.full_queues is Policy.SKIP:
                    self._skip(number, "the queue is full")
                else:
                    self._bad(number, str(result), result)
                continue
            self.counts.duplicates += result.duplicate
            self.counts.sent += not result.duplicate
            self._finish(number)
        if full:
            self.counts.waiting += len(full)
            await asyncio.sleep(RETRY_S)
            self.counts.waiting -= len(full)
        return full

    async def _patiently(self, messages: list[OutgoingMessage]) -> list[SendResult | KvraftError]:
        """Until they are sent: a cluster that is unavailable is waited for."""
        from kvraft.client import DeadlineExceeded, OutcomeUnknown, ResourceExhausted, Unavailable

        gives_up_s = time.monotonic() + self._plan.patience_s
        while True:
            try:
                if self._plan.register:
                    users = {user for each in messages for user in (each.sender_id, each.to) if user}
                    await asyncio.gather(*map(self._known, users))
                return await self._client.messages.send_in_order(messages)
            except (Unavailable, DeadlineExceeded, OutcomeUnknown, ResourceExhausted):
                # Sent again, those that were accepted are found to be duplicates.
                if self._is_over or time.monotonic() >= gives_up_s:
                    raise
            await asyncio.sleep(RETRY_S)

    async def _known(self, user_id: str) -> None:
        """Every user has a device from now on."""
        task = self._users.get(user_id)
        # One that failed is tried again: it may have been the cluster.
        if task is None or (task.done() and task.exception() is not None):
            task = self._users[user_id] = asyncio.create_task(self._register(user_id))
        await asyncio.shield(task)

    async def _register(self, user_id: str) -> None:
        from kvraft.client import NotFound

        try:
            await self._client.sessions.list_devices(user_id)
        except NotFound:
            registered = await self._client.sessions.register_device(user_id, self._plan.device_id)
            self.counts.users += registered.created

    # --- what is done ---------------------------------------------------------------------------

    def _bad(self, number: int, why: str, cause: BaseException | None) -> None:
        if self._plan.bad_lines is Policy.SKIP:
            self._skip(number, why)
            return
        stopped = StoppedError(number, why)
        stopped.__cause__ = cause
        # What was read before it is still sent.
        self._stopped = self._stopped or stopped

    def _skip(self, number: int, why: str) -> None:
        self.counts.skipped += 1
        self._tell(f"line {number:,} is skipped: {why}")
        self._finish(number)

    def _finish(self, number: int) -> None:
        self._done.add(number)
        while self.counts.done + 1 in self._done:
            self.counts.done += 1
            self._done.remove(self.counts.done)

    async def _mark_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(MARK_EVERY_S)
            await self._mark()

    async def _mark(self) -> None:
        from kvraft.client import KvraftError

        if not self._plan.name or self.counts.done == self.counts.resumed:
            return
        mark = json.dumps({"lines": self.counts.done}).encode()
        try:
            await self._client.kv.put(MARK_PREFIX + self._plan.name, mark)
        except KvraftError:
            # The next one, or else the next run, sends some lines once more, which does no harm.
            return


async def _numbered(lines: IO[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """The lines from 1 on. Reading may take as long as it likes: it holds up nothing else."""
    number = 0
    while chunk := await asyncio.to_thread(_take, lines):
        for line in chunk:
            number += 1
            yield number, line


def _take(lines: IO[bytes]) -> list[bytes]:
    chunk: list[bytes] = []
    while len(chunk) < LINES_AT_ONCE and (line := lines.readline()):
        chunk.append(line)
    return chunk
