"""Snapshots under way: from a view on the leader, row by row, to a new state beside the old one.

As on the wire, a follower receives one snapshot at a time and the newest attempt counts; a transfer
may be cut at every step, and its success may stay unknown to the sender, who then sends it again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from kvraft.raft.messages import InstallSnapshot
from kvraft.raft.ready import SendSnapshot
from kvraft.storage.interfaces import StateView
from kvraft.storage.state.digest import MASK, row_hash
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host

CHUNKS_MAX = 30
ROWS_PER_CHUNK = 3
"""At least, and so many that a transfer has no more than `CHUNKS_MAX` chunks."""


def send_snapshot(sender: Host, order: SendSnapshot, view: StateView) -> None:
    """Begins a transfer; it ends with `Replica.snapshot_sent` at the sender, if that still lives."""
    assert view.applied.index == order.snapshot.index, (view.applied, order)
    assert view.applied.term == order.snapshot.term, (view.applied, order)
    Reception(sender, sender.world.hosts[order.target], order, view).begin()


class Reception:
    """One transfer, seen from both ends."""

    def __init__(self, sender: Host, receiver: Host, order: SendSnapshot, view: StateView) -> None:
        self._sender = sender
        self._sender_life = sender.life
        self._receiver = receiver
        self._receiver_life = receiver.life
        self._order = order
        self._view = view
        rows = list(view.scan(b"", None))
        self._rows_per_chunk = max(ROWS_PER_CHUNK, len(rows) // CHUNKS_MAX)
        self._unsent = iter(rows)
        self._rows: list[tuple[bytes, bytes]] = []
        self._generation: int | None = None
        self._is_over = False
        self._is_handed_over = False
        self._sender_is_gone = False
        """Whether the sender has given up, and the receiver does not know."""

    def begin(self) -> None:
        self._later(self._arrive)

    def receiver_died(self) -> None:
        """Nothing comes back any more."""
        self._fail()

    def _later(self, action: object) -> None:
        world = self._sender.world
        link = world.network.links[self._sender.node_id, self._receiver.node_id]
        delay_us = link.delay_us + int(self._sender.chance.random() * 10 * MS_US)
        world.timeline.after(delay_us, action)  # type: ignore[arg-type]

    def _is_cut(self) -> bool:
        """Whether the connection breaks just now."""
        world = self._sender.world
        links = world.network.links
        pair = self._sender.node_id, self._receiver.node_id
        broken = links[pair].blocked or links[pair[::-1]].blocked
        if not broken and self._sender.chance.random() < world.transfer_cuts:
            world.report.fault("snapshot transfer cut", f"n{pair[0]}>n{pair[1]}")
            broken = True
        return bool(broken or self._sender.life != self._sender_life)

    def _arrive(self) -> None:
        """The first part reaches the receiver: an older reception gives way."""
        receiver = self._receiver
        if not receiver.is_up or self._is_cut():
            self._fail()
            return
        self._receiver_life = receiver.life
        receiver.post(receiver.life, self._supersede)

    def _supersede(self) -> None:
        receiver = self._receiver
        if receiver.reception is not None:
            receiver.world.report.events["snapshot superseded"] += 1
            receiver.reception._fail()
        receiver.reception = self
        self._generation = receiver.disk.begin_receiving()
        if receiver.world.transfer_cuts and self._sender.chance.random() < 0.3:
            self._flush_slowly()
        self._later(self._next_chunk)

    def _next_chunk(self) -> None:
        if self._is_over:
            return
        if self._is_cut():
            self._fail()
            return
        self._sender.post(self._sender_life, self._read_chunk)

    def _read_chunk(self) -> None:
        if self._is_over:
            return
        chunk = list(islice(self._unsent, self._rows_per_chunk))
        self._rows.extend(chunk)
        self._later(self._next_chunk if chunk else self._finish)

    def _finish(self) -> None:
        if self._is_over:
            return
        digest = sum(row_hash(key, value) for key, value in self._rows) & MASK
        assert digest == self._view.applied.digest, f"a view and its digest differ: {self._order}"
        assert self._generation is not None
        durable = self._receiver.disk.finish_receiving(
            self._generation, self._rows, self._order.snapshot, digest
        )
        if not durable:
            self._fail()
            return
        # The thread that wrote tells the loop, and anything may come in between.
        self._later(self._hand_over)

    def _hand_over(self) -> None:
        if not self._is_over:
            self._receiver.post(self._receiver_life, self._stage)

    def _stage(self) -> None:
        replica = self._receiver.replica
        if self._is_over or replica is None:
            return
        assert self._generation is not None
        self._is_handed_over = True
        order = self._order
        message = InstallSnapshot(
            sender=self._sender.node_id, target=order.target, term=order.term, snapshot=order.snapshot
        )
        world = self._receiver.world
        if world.transfer_cuts and self._sender.chance.random() < 0.3:
            world.report.fault("snapshot sender gave up", f"n{order.target}")
            self._sender_is_gone = True
            self._tell_sender(succeeded=False)
            self._slow_down()
        replica.receive_snapshot(message, self._generation, self._installed)
        self._receiver.wake()
        if world.transfer_cuts and self._receiver.disk.is_flushing and self._sender.chance.random() < 0.5:
            world.on_snapshot_waiting(self._sender)

    def _slow_down(self) -> None:
        """The installation takes so long that the next attempt meets it."""
        disk, chance = self._receiver.disk, self._sender.chance
        disk.slowness = 400.0

        def recover() -> None:
            disk.slowness = 1.0

        self._sender.world.timeline.after(chance.randrange(200, 1_500) * MS_US, recover)

    def _flush_slowly(self) -> None:
        """Flushes take so long that the snapshot may have to wait for one."""
        disk, chance = self._receiver.disk, self._sender.chance
        disk.flush_slowness = 400.0

        def recover() -> None:
            disk.flush_slowness = 1.0

        self._sender.world.timeline.after(chance.randrange(1_000, 4_000) * MS_US, recover)

    def _installed(self, installed: bool) -> None:
        self._receiver.world.report.events["snapshot received" if installed else "snapshot not wanted"] += 1
        if self._receiver.reception is self:
            self._receiver.reception = None
        if self._is_over:
            return
        if self._is_cut():
            self._receiver.world.report.fault("snapshot answer lost", f"n{self._order.target}")
            self._fail()
            return
        self._later(self._succeed)

    def _succeed(self) -> None:
        self._end(succeeded=True)

    def _fail(self) -> None:
        """The connection broke, or the receiver refused. It forgets what it got, unless the replica
        has it already."""
        if self._is_over:
            return
        receiver = self._receiver
        if self._generation is not None and not self._is_handed_over and receiver.life == self._receiver_life:
            receiver.disk.abandon_receiving(self._generation)
        if receiver.reception is self:
            receiver.reception = None
        self._end(succeeded=False)

    def _end(self, *, succeeded: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        if not self._sender_is_gone:
            self._tell_sender(succeeded=succeeded)

    def _tell_sender(self, *, succeeded: bool) -> None:
        self._view.close()

        def tell() -> None:
            assert self._sender.replica is not None
            self._sender.replica.snapshot_sent(self._order.target, succeeded=succeeded)
            self._sender.wake()

        delay_us = self._sender.chance.randrange(1, self._sender.chance.choice((5, 500)) * MS_US)
        self._sender.world.timeline.after(delay_us, self._sender.post, self._sender_life, tell)
