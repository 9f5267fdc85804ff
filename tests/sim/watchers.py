"""Clients that watch: each has one watch at one node, and goes on elsewhere from where it stood.

The node may die, or the client turns away from it, with or without a word, as one does whose connection
breaks. What was under way then is lost, and the next node is asked for it. Some read slowly, so that their
queue is full and they have to read the history. A node that does not know what is due says so; then the
watcher asks another node, or begins anew with the oldest revision that there is.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from kvraft.machine import keys
from kvraft.machine.records import KvRecord
from kvraft.node.watching import (
    Canceled,
    CancelReason,
    Created,
    Delivery,
    Events,
    Progress,
    WatchOrder,
    WatchStream,
)
from kvraft.storage.interfaces import Change as RowChange
from tests.sim.clients import KEYS
from tests.sim.history import Change, Violation, Watched, WatchStory
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World


class Watcher:
    """One watch after the other."""

    def __init__(self, number: int, world: World, chance: random.Random) -> None:
        self.number = number
        self.stories: list[WatchStory] = []
        self.is_stopped = False
        """From now on it stays where it is and reads quickly."""
        self._world = world
        self._chance = chance
        self._watched = self._wish()
        self._story: WatchStory | None = None
        """None: it has not begun yet."""
        self._start: int | None = 0
        """Of the next story: its first revision, 0: the next one, None: one of those that were."""
        self._connection: _Connection | None = None
        self._later(self._connect)

    def check_is_told_all(self, revision: int) -> None:
        """At the end, when nothing has happened for a while. Raises Violation if it was not told of the
        state's last revision."""
        connection, story = self._connection, self._story
        if connection is None or story is None:
            raise Violation(f"watcher {self.number} has no watch although every node serves")
        if not connection.says_nothing_is_left() or story.next != revision + 1:
            raise Violation(
                f"watcher {self.number} was left behind at revision {story.next - 1} of {revision}, "
                f"by {connection.host.name}"
            )

    def _wish(self) -> Watched:
        chance = self._chance
        key = chance.choice(KEYS)
        start, end = chance.choice(((b"", b""), (key, key + b"\x00"), (key, b""), (KEYS[1], KEYS[4])))
        excluded = chance.choice((None, None, None, "puts", "deletes"))
        return Watched(start, end, puts=excluded != "puts", deletes=excluded != "deletes")

    def _later(self, action: Callable[[], None]) -> None:
        longest_ms = 20 if self.is_stopped else self._chance.choice((20, 1_000))
        delay_us = 1 + self._chance.randrange(longest_ms * MS_US)
        self._world.timeline.after(delay_us, action)

    def _connect(self) -> None:
        up = [host for host in self._world.hosts.values() if host.is_up]
        if not up:
            self._later(self._connect)
            return
        connection = self._connection = _Connection(self, self._world, self._chance.choice(up), self._chance)
        stay_us = self._chance.randrange(50 * MS_US, self._chance.choice((500, 8_000)) * MS_US)
        self._world.timeline.after(stay_us, self._turn_away, connection)

    def _turn_away(self, connection: _Connection) -> None:
        if connection.is_over or self.is_stopped:
            return
        if self._chance.random() < 0.4:
            # If the answer does not come, it does not wait for it for ever.
            connection.cancel()
            self._world.timeline.after(500 * MS_US, self._break_off, connection)
        else:
            self._break_off(connection)

    def _break_off(self, connection: _Connection) -> None:
        if not connection.is_over:
            connection.break_off()
            self.connection_ended()

    # --- what its connection tells it -----------------------------------------------------------

    def connection_ended(self) -> None:
        """It goes on elsewhere, or with something else."""
        self._connection = None
        if not self.is_stopped and self._chance.random() < 0.2:
            self._story = None
            self._watched = self._wish()
            self._start = self._chance.choice((0, None, None))
        self._later(self._connect)

    def order(self, node_revision: int) -> WatchOrder:
        """What it asks of a node."""
        if self._story is not None:
            self._start = self._story.next
        elif self._start is None:
            self._start = max(1, node_revision - self._chance.choice((1, 10, 100)))
        watched = self._watched
        return WatchOrder(
            watch_id=self.number,
            bounds=keys.kv_range(watched.start, watched.end),
            start_revision=self._start,
            puts=watched.puts,
            deletes=watched.deletes,
        )

    def was_told(self, delivery: Delivery) -> None:
        """Notes what came."""
        events = self._world.report.events
        if self._world.report.is_traced:
            self._world.report.say(f"w{self.number}", f"is told {delivery}")
        story = self._story
        match delivery:
            case Created(revision=revision):
                if story is not None:
                    events["watch resumed"] += 1
                    return
                assert self._start is not None
                first = self._start or revision + 1
                self._story = WatchStory(self.number, self._watched, first, first)
                self.stories.append(self._story)
            case Events(revisions=revisions):
                assert story is not None
                for revision, changes in revisions:
                    story.told.append((revision, tuple(map(_decoded, changes))))
                    story.next = revision + 1
                    events["watch event"] += 1
            case Progress(revision=revision):
                assert story is not None
                story.next = max(story.next, revision + 1)
            case Canceled(reason=CancelReason.COMPACTED):
                self._was_compacted(delivery)
            case Canceled(reason=CancelReason.CANCELED):
                assert story is not None
                story.next = delivery.resume_revision
                events["watch canceled"] += 1
            case Canceled():
                raise Violation(f"watcher {self.number} was refused: {delivery}")

    def _was_compacted(self, delivery: Canceled) -> None:
        """A watch that had begun is told how far it has come; one that had not is just refused."""
        events = self._world.report.events
        if delivery.resume_revision:
            assert self._story is not None
            self._story.next = delivery.resume_revision
            events["watch compacted on its way"] += 1
        else:
            events["watch compacted"] += 1
        position = self._story.next if self._story is not None else self._start
        assert position is not None
        if position >= delivery.oldest_revision:
            raise Violation(f"watcher {self.number} at revision {position} was refused: {delivery}")
        if self.is_stopped or self._chance.random() < 0.5:
            self._story = None
            self._start = delivery.oldest_revision


class _Connection:
    """A watch at a node, until one of them ends it."""

    def __init__(self, watcher: Watcher, world: World, host: Host, chance: random.Random) -> None:
        self.host = host
        self.is_over = False
        self._watcher = watcher
        self._world = world
        self._life = host.life
        self._stream: WatchStream | None = None
        self._reads_soon = False
        self._pause_us = chance.choice((1, 1, 1, 50, 700)) * MS_US
        host.on_death.append(self._died)
        host.post(host.life, self._open)

    def break_off(self) -> None:
        """Nothing more is heard; the node learns of it."""
        self.is_over = True
        self.host.post(self._life, self._close)

    def cancel(self) -> None:
        self.host.post(self._life, self._cancel)

    def says_nothing_is_left(self) -> bool:
        """Whether everything was read that there was, and more is not to come."""
        stream = self._stream
        assert stream is not None
        stream.progress()
        delivery = stream.take()
        assert delivery is not None
        self._watcher.was_told(delivery)
        return isinstance(delivery, Progress)

    def _open(self) -> None:
        if self.is_over:
            return
        replica = self.host.replica
        assert replica is not None
        self._stream = replica.watches.open_stream(self._on_ready)
        self._stream.create(self._watcher.order(replica.watches.revision))

    def _on_ready(self) -> None:
        """As the handler of the call does, it reads a little later, one delivery or slice at a time."""
        if not self._reads_soon and not self.is_over:
            self._reads_soon = True
            pause_us = MS_US if self._watcher.is_stopped else self._pause_us
            self._world.timeline.after(pause_us, self.host.post, self._life, self._read)

    def _read(self) -> None:
        self._reads_soon = False
        if self.is_over:
            return
        stream, replica = self._stream, self.host.replica
        assert stream is not None
        assert replica is not None
        if stream.parked:
            self._world.report.events["watch parked"] += 1
        delivery = stream.take()
        if delivery is not None:
            self._watcher.was_told(delivery)
        elif replica.watches.lags:
            self._world.report.events["watch catches up"] += 1
            replica.watches.catch_up()
        else:
            return
        if isinstance(delivery, Canceled):
            self.is_over = True
            self._close()
            self._watcher.connection_ended()
        else:
            self._on_ready()

    def _cancel(self) -> None:
        if self._stream is not None and not self.is_over:
            self._stream.cancel(self._watcher.number)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _died(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._watcher.connection_ended()


def _decoded(change: RowChange) -> Change:
    row_key, row, previous = change
    return Change(
        keys.kv_user_key(row_key),
        None if row is None else KvRecord.decode(row),
        None if previous is None else KvRecord.decode(previous),
    )
