"""Watches of this node's clients: which are due what, and how far each has come.

A watch that has come as far as the state is *live*: what an entry changed is handed to it in the turn that
applied the entry. One that has not reads the history: all those that lag go through it together, in a pass
of small slices (`WatchHub.catch_up`), so that ten thousand watches that return after an outage cost one
reading, not ten thousand; a watch that comes behind the place where the pass is just now waits for the next.

What is due lies in the queue of the stream, in order, up to `STREAM_BYTES_MAX`. A watch whose stream is full
is *parked*: it keeps its place in the history and nothing else, and goes on from there once the stream has
been read, so that a slow reader costs memory for one queue and no other watch waits for it. It has lost its
place only when the history no longer reaches back to it. So every watch is always one position, the first
revision that was not yet queued for it, and that is what it can be resumed from on any node.

Everything runs in the owner's thread, between two awaits, without clock or I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from kvraft.errors import Reason, RequestError
from kvraft.node.sharing import CONNECTION, Share
from kvraft.node.watched_keys import Bounds, WatchedKeys
from kvraft.storage.interfaces import Change, HistoryCompactedError, StateStore

STREAM_BYTES_MAX = 1 << 20
"""What waits in the queue of a stream; one revision more may exceed it."""
MERGED_BYTES_MAX = 64 << 10
"""Up to this, the events of a watch that follow each other in a queue are one delivery."""
STREAM_WATCHES_MAX = 1_000
NODE_WATCHES_MAX = 100_000
CHANGE_OVERHEAD_BYTES = 64


class CancelReason(Enum):
    """Why a watch ended. The values are those of the wire."""

    CANCELED = "CANCELED"
    COMPACTED = "COMPACTED"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    TOO_MANY_WATCHES = "TOO_MANY_WATCHES"
    SHUTTING_DOWN = "SHUTTING_DOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrder:
    """What a client asks for."""

    watch_id: int
    bounds: Bounds
    more_bounds: tuple[Bounds, ...] = ()
    """Further ranges, of which no two overlap: what happens in all of them comes in one order."""
    start_revision: int = 0
    """The first revision that is wanted; 0: the next one."""
    previous: bool = False
    """Whether the rows before the changes are wanted."""
    puts: bool = True
    deletes: bool = True
    progress: bool = False
    """Whether to be told now and then how far the watch has come."""

    @property
    def ranges(self) -> tuple[Bounds, ...]:
        """All of them: what the watch costs, and what it counts for."""
        return (self.bounds, *self.more_bounds)


@dataclass(frozen=True, slots=True)
class Created:
    """The watch begins."""

    watch_id: int
    revision: int


@dataclass(slots=True)
class Events:
    """What a watch is due: whole revisions, ascending, all of it in `changes` that it wants."""

    watch_id: int
    previous: bool
    revisions: list[tuple[int, Sequence[Change]]]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The watch was sent everything up to `revision`."""

    watch_id: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """The watch has ended."""

    watch_id: int
    revision: int
    """It was sent everything up to here."""
    reason: CancelReason
    message: str
    resume_revision: int = 0
    oldest_revision: int = 0


Delivery = Created | Events | Progress | Canceled


class _Place(Enum):
    NOWHERE = auto()
    """On the way from one place to another, or ended."""
    LIVE = auto()
    """In the index of what is applied."""
    PASSING = auto()
    """In the pass through the history."""
    WAITING = auto()
    """For the next pass."""
    PARKED = auto()
    """Until its stream is read."""


class Watch:
    """One watch of a stream."""

    __slots__ = ("is_quiet", "order", "place", "position", "stream")

    def __init__(self, stream: WatchStream, order: WatchOrder, position: int) -> None:
        self.stream = stream
        self.order = order
        self.position = position
        """No revision before it is wanted. Unless it is live or passing: the first that was not queued."""
        self.place = _Place.NOWHERE
        self.is_quiet = False
        """Whether nothing was queued for it since its stream last looked."""


class WatchHub:
    """All watches of a node."""

    __slots__ = (
        "_cursor",
        "_is_shut",
        "_live",
        "_passing",
        "_state",
        "_streams",
        "_waiting",
        "revision",
        "share",
    )

    def __init__(self, state: StateStore, revision: int) -> None:
        """`state`, whose history has begun, is at `revision`."""
        self._state = state
        self.revision = revision
        self.share = Share(NODE_WATCHES_MAX)
        """Of ranges that are watched."""
        self._live = WatchedKeys[Watch]()
        self._passing = WatchedKeys[Watch]()
        self._cursor = 0
        """The pass has read everything before this revision."""
        self._waiting: dict[Watch, None] = {}
        self._streams: dict[WatchStream, None] = {}
        self._is_shut = False

    def open_stream(self, on_ready: Callable[[], None]) -> WatchStream:
        """`on_ready` is called whenever something was queued, or there is something to catch up with."""
        stream = WatchStream(self, on_ready)
        self._streams[stream] = None
        if self._is_shut:
            stream.has_ended = True
        return stream

    @property
    def lags(self) -> bool:
        """Whether `catch_up` has something to do."""
        return bool(self._passing.count or self._waiting)

    def publish(self, revisions: Sequence[tuple[int, Sequence[Change]]], revision: int) -> None:
        """An entry was applied and recorded: the state is at `revision`."""
        if self._live.count:
            for each, changes in revisions:
                self._deliver(self._live, each, changes)
        self.revision = revision

    def catch_up(self) -> None:
        """The next slice of the pass through the history, about a millisecond. Raises StorageError."""
        if not self._passing.count:
            self._begin_pass()
        try:
            revisions = self._state.read_history(self._cursor)
        except HistoryCompactedError as error:
            self._skip_to(error.oldest_revision)
            return
        if not revisions:
            for watch in self._passing.all():
                self._leave(watch)
                self._enter(watch, _Place.LIVE)
            return
        for revision, changes in revisions:
            self._deliver(self._passing, revision, changes)
        self._cursor = revisions[-1][0] + 1

    def replace_state(self, state: StateStore, revision: int) -> None:
        """A received snapshot became the state. What happened on the way there this node does not know: a
        watch that is due some of it ends with COMPACTED, and may be resumed at a node that does know."""
        watches = [watch for stream in self._streams for watch in stream.watches.values()]
        for watch in watches:
            position = self._resume_revision(watch)
            self._leave(watch)
            watch.position = position
        self._state, self.revision = state, revision
        for watch in watches:
            if watch.position < state.history.oldest_revision:
                self._cancel_compacted(watch)
            else:
                self._place(watch)

    def shut_down(self, why: str = "this node is stopping") -> None:
        """Ends every watch and every stream; new ones end at once, until `reopen`."""
        self._is_shut = True
        for stream in list(self._streams):
            stream.end(CancelReason.SHUTTING_DOWN, f"{why}; watch again at another node")

    def reopen(self) -> None:
        """Takes streams again."""
        self._is_shut = False

    # --- for the streams ------------------------------------------------------------------------

    def add(self, stream: WatchStream, order: WatchOrder) -> None:
        revision = self.revision
        oldest_revision = self._state.history.oldest_revision
        position = order.start_revision or revision + 1
        refused: CancelReason | None = None
        message = ""
        if position < oldest_revision:
            refused = CancelReason.COMPACTED
            message = _compacted(position, oldest_revision)
        elif len(stream.watches) >= STREAM_WATCHES_MAX:
            refused = CancelReason.TOO_MANY_WATCHES
            message = f"a stream has at most {STREAM_WATCHES_MAX:,} watches; open another one"
        elif not self.share.take(stream.connection, len(order.ranges)):
            refused = CancelReason.TOO_MANY_WATCHES
            message = f"{self.share.refusal(stream.connection, 'watches')}; use another node"
        if refused is not None:
            stream.refuse(order.watch_id, refused, message, oldest_revision=oldest_revision)
            return
        watch = stream.watches[order.watch_id] = Watch(stream, order, position)
        stream.queue(Created(order.watch_id, revision))
        self._place(watch)

    def cancel(self, watch: Watch, reason: CancelReason, message: str) -> None:
        oldest_revision = self._state.history.oldest_revision
        resume_revision = self._resume_revision(watch)
        self._leave(watch)
        del watch.stream.watches[watch.order.watch_id]
        self.share.give_back(watch.stream.connection, len(watch.order.ranges))
        watch.stream.queue(
            Canceled(
                watch_id=watch.order.watch_id,
                revision=min(resume_revision - 1, self.revision),
                reason=reason,
                message=message,
                resume_revision=resume_revision,
                oldest_revision=oldest_revision,
            )
        )

    def progress(self, watch: Watch) -> None:
        sent_to = min(self._resume_revision(watch) - 1, self.revision)
        watch.stream.queue(Progress(watch.order.watch_id, sent_to))

    def unpark(self, stream: WatchStream) -> None:
        for watch in list(stream.parked):
            self._leave(watch)
            self._place(watch)

    def close(self, stream: WatchStream) -> None:
        for watch in stream.watches.values():
            self._leave(watch)
            self.share.give_back(stream.connection, len(watch.order.ranges))
        stream.watches.clear()
        self._streams.pop(stream, None)

    # --- places ---------------------------------------------------------------------------------

    def _place(self, watch: Watch) -> None:
        """Where a watch belongs that is nowhere, by its position."""
        if watch.position > self.revision:
            self._enter(watch, _Place.LIVE)
        elif self._passing.count and watch.position >= self._cursor:
            self._enter(watch, _Place.PASSING)
        else:
            self._enter(watch, _Place.WAITING)

    def _enter(self, watch: Watch, place: _Place) -> None:
        watch.place = place
        match place:
            case _Place.LIVE:
                for bounds in watch.order.ranges:
                    self._live.add(bounds, watch)
            case _Place.PASSING:
                for bounds in watch.order.ranges:
                    self._passing.add(bounds, watch)
            case _Place.WAITING:
                self._waiting[watch] = None
                watch.stream.on_ready()
            case _Place.PARKED:
                watch.stream.parked[watch] = None
            case _Place.NOWHERE:
                raise AssertionError("nowhere cannot be entered")

    def _leave(self, watch: Watch) -> None:
        match watch.place:
            case _Place.LIVE:
                for bounds in watch.order.ranges:
                    self._live.remove(bounds, watch)
            case _Place.PASSING:
                for bounds in watch.order.ranges:
                    self._passing.remove(bounds, watch)
            case _Place.WAITING:
                del self._waiting[watch]
            case _Place.PARKED:
                del watch.stream.parked[watch]
            case _Place.NOWHERE:
                pass
        watch.place = _Place.NOWHERE

    def _begin_pass(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._cursor = min((watch.position for watch in waiting), default=self.revision + 1)
        for watch in waiting:
            self._enter(watch, _Place.PASSING)

    def _skip_to(self, oldest_revision: int) -> None:
        """The history was trimmed over the place where the pass is."""
        for watch in self._passing.all():
            if self._resume_revision(watch) < oldest_revision:
                self._cancel_compacted(watch)
        self._cursor = oldest_revision

    def _resume_revision(self, watch: Watch) -> int:
        """The first revision that was not queued for it."""
        match watch.place:
            case _Place.LIVE:
                return max(watch.position, self.revision + 1)
            case _Place.PASSING:
                return max(watch.position, self._cursor)
            case _Place.WAITING | _Place.PARKED | _Place.NOWHERE:
                return watch.position

    def _cancel_compacted(self, watch: Watch) -> None:
        position, oldest = self._resume_revision(watch), self._state.history.oldest_revision
        self.cancel(watch, CancelReason.COMPACTED, _compacted(position, oldest))

    def _deliver(self, index: WatchedKeys[Watch], revision: int, changes: Sequence[Change]) -> None:
        due: dict[Watch, list[Change]] = {}
        for change in changes:
            for watch in index.of(change[0]):
                order = watch.order
                if revision >= watch.position and (order.deletes if change[1] is None else order.puts):
                    due.setdefault(watch, []).append(change)
        for watch, wanted in due.items():
            if watch.stream.is_full:
                self._leave(watch)
                watch.position = revision
                self._enter(watch, _Place.PARKED)
            else:
                watch.is_quiet = False
                watch.stream.queue_events(watch.order, revision, wanted)


class WatchStream:
    """The watches of one client's stream, and what is due to it."""

    __slots__ = (
        "_hub",
        "_queue",
        "_queued_bytes",
        "connection",
        "has_ended",
        "on_ready",
        "parked",
        "watches",
    )

    def __init__(self, hub: WatchHub, on_ready: Callable[[], None]) -> None:
        self._hub = hub
        self.on_ready = on_ready
        self.connection = CONNECTION.get()
        self.watches: dict[int, Watch] = {}
        self.parked: dict[Watch, None] = {}
        self._queue: deque[Delivery] = deque()
        self._queued_bytes = 0
        self.has_ended = False
        """Nothing more is queued from now on."""

    def create(self, order: WatchOrder) -> None:
        """Answered by `Created`, or by `Canceled`. Raises RequestError if the id is in use: whatever is
        answered would be taken for the other watch's."""
        if order.watch_id in self.watches:
            raise RequestError(
                Reason.INVALID_ARGUMENT,
                f"create.watch_id is {order.watch_id}, which another watch of this stream has",
                field="create.watch_id",
            )
        if self.has_ended:
            self.refuse(order.watch_id, CancelReason.SHUTTING_DOWN, "this node is stopping; use another node")
        else:
            self._hub.add(self, order)

    def refuse(self, watch_id: int, reason: CancelReason, message: str, *, oldest_revision: int = 0) -> None:
        """A watch that never began."""
        self.queue(
            Canceled(
                watch_id=watch_id,
                revision=self._hub.revision,
                reason=reason,
                message=message,
                oldest_revision=oldest_revision,
            )
        )

    def cancel(self, watch_id: int) -> None:
        """Answered by `Canceled`, unless there is no such watch: then its end is on its way already."""
        watch = self.watches.get(watch_id)
        if watch is not None:
            self._hub.cancel(watch, CancelReason.CANCELED, "the client asked for it")

    def progress(self) -> None:
        """Says of every watch how far it has come."""
        for watch in self.watches.values():
            self._hub.progress(watch)

    def notify_quiet(self) -> None:
        """The same of each watch that wants it, if nothing was queued for it since this was last called."""
        for watch in self.watches.values():
            if watch.is_quiet and watch.order.progress and watch not in self.parked:
                self._hub.progress(watch)
            watch.is_quiet = True

    def end(self, reason: CancelReason, message: str) -> None:
        """Ends every watch of the stream, and the stream behind what is queued."""
        for watch in list(self.watches.values()):
            self._hub.cancel(watch, reason, message)
        self.has_ended = True
        self.on_ready()

    def take(self) -> Delivery | None:
        """What is to be sent next."""
        if not self._queue:
            return None
        delivery = self._queue.popleft()
        if isinstance(delivery, Events):
            self._queued_bytes -= delivery.size_bytes
            if self.parked and self._queued_bytes <= STREAM_BYTES_MAX // 2:
                self._hub.unpark(self)
        return delivery

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be sent that the client should not be allowed to ask for more."""
        return len(self._queue) >= STREAM_WATCHES_MAX

    def close(self) -> None:
        """The client is gone."""
        self._hub.close(self)

    # --- for the hub ----------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether no more events go into the queue."""
        return self._queued_bytes >= STREAM_BYTES_MAX

    def queue(self, delivery: Created | Progress | Canceled) -> None:
        self._queue.append(delivery)
        self.on_ready()

    def queue_events(self, order: WatchOrder, revision: int, changes: Sequence[Change]) -> None:
        size_bytes = sum(
            CHANGE_OVERHEAD_BYTES + len(key) + len(row or b"") + len(previous or b"")
            for key, row, previous in changes
        )
        self._queued_bytes += size_bytes
        last = self._queue[-1] if self._queue else None
        if (
            isinstance(last, Events)
            and last.watch_id == order.watch_id
            and last.size_bytes + size_bytes <= MERGED_BYTES_MAX
        ):
            last.revisions.append((revision, changes))
            last.size_bytes += size_bytes
            return
        self._queue.append(Events(order.watch_id, order.previous, [(revision, changes)], size_bytes))
        self.on_ready()


def _compacted(position: int, oldest_revision: int) -> str:
    return (
        f"revision {position} is older than the history of this node, which begins with {oldest_revision}; "
        "read the keys, and watch from the revision after the one that was read; or ask another node"
    )
