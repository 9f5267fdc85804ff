"""Who grants leases, attaches keys to them, keeps them alive, forgets them for a while, and ends them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kvraft.machine.results import (
    CompareAndSetResult,
    Failed,
    FailureReason,
    GrantLeaseResult,
    RegisterClientResult,
    RenewLeasesResult,
    RevokeLeaseResult,
)
from kvraft.v1 import command_pb2
from tests.sim.clients import KEYS
from tests.sim.leases import commands
from tests.sim.leases.asks import Desk
from tests.sim.leases.story import Ask, Lifetime, Sighting, Story
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import World

TTLS_MS = (1_000, 2_000, 3_000)
CONTESTED = 1 << 40
"""A lease that everybody grants, and nobody keeps alive. (Ids that are given are revisions, far below.)"""
LEASES_MAX = 3
"""Of one owner at a time."""


@dataclass(slots=True)
class Held:
    """A lease that its owner takes for alive."""

    lifetime: Lifetime
    lapses_until_us: int = 0
    """Until then it is not renewed; 0: it is kept alive."""


class Owner:
    """One write at a time, and beside it one renewal of everything that is to live."""

    def __init__(self, number: int, world: World, story: Story, chance: random.Random, pace_us: int) -> None:
        self.is_stopped = False
        self._number = number
        self._world = world
        self._story = story
        self._chance = chance
        self._pace_us = pace_us
        self._desk = Desk(world, story, chance)
        self._held: dict[int, Held] = {}
        self._ended: list[int] = []
        """Leases that were its own, or never granted."""
        self._revisions: dict[bytes, int] = {}
        """Of keys, when it last wrote them."""
        self._granted = 0
        self._client_id = 0
        self._sequence = 0
        if chance.random() < 0.5:
            self._desk.ask("register", commands.register(), self._registered)
        else:
            self._think()
        self._renew_later()

    def _registered(self, ask: Ask) -> None:
        if ask.answer is not None:
            assert isinstance(ask.answer.result, RegisterClientResult), ask
            self._client_id = ask.answer.result.client_id
        self._think()

    # --- writes -------------------------------------------------------------------------------

    def _think(self) -> None:
        if not self.is_stopped:
            delay_us = 1 + int(self._chance.expovariate(1 / self._pace_us))
            self._world.timeline.after(delay_us, self._write)

    def _write(self) -> None:
        if self.is_stopped:
            return
        chance = self._chance
        key = chance.choice(KEYS)
        value = b"v%d" % len(self._story.asks)
        held = list(self._held)
        kind = chance.random()
        if len(held) < LEASES_MAX and (not held or kind < 0.15):
            self._grant()
        elif kind < 0.20:
            contested = commands.grant(CONTESTED, chance.choice(TTLS_MS))
            self._ask("grant the contested", contested, self._granted_contested)
        elif kind < 0.45:
            self._ask("put", commands.put(key, value, chance.choice(held)), self._wrote)
        elif kind < 0.57:
            swap = commands.compare_and_set(key, self._revisions.get(key, 0), value, chance.choice(held))
            self._ask("compare and set", swap, self._wrote)
        elif kind < 0.72:
            targets = chance.choices([*held, 0, chance.choice(self._ended or held)], k=2)
            moved = commands.move_all(chance.sample(KEYS, 2), chance.choice((0, *held)), value, targets)
            self._ask("move", moved, self._wrote)
        elif kind < 0.80:
            self._ask("put without a lease", commands.put(key, value, 0), self._wrote)
        elif kind < 0.87:
            self._ask("delete", commands.delete(key), self._wrote)
        elif kind < 0.95:
            gone = chance.choice((CONTESTED, *self._ended[-3:]))
            self._ask("put to what may be gone", commands.put(key, value, gone), self._wrote)
        else:
            self._revoke(chance.choice(held))

    def _ask(self, name: str, command: command_pb2.Command, on_end: Callable[[Ask], None]) -> None:
        """Numbered, if this owner is registered."""
        if self._client_id:
            self._sequence += 1
            command.client_id, command.sequence = self._client_id, self._sequence
            command.first_unacknowledged = self._sequence
        self._desk.ask(f"owner {self._number}: {name}", command, on_end)

    def _wrote(self, ask: Ask) -> None:
        events = self._world.report.events
        if ask.answer is not None:
            result = ask.answer.result
            if isinstance(result, Failed):
                assert result.reason is FailureReason.LEASE_NOT_FOUND, ask
                events["write with a lease refused"] += 1
                self._missed(result.subject)
            elif isinstance(result, CompareAndSetResult):
                key = ask.command.compare_and_set.key
                current = result.current
                self._revisions[key] = current.mod_revision if current else ask.answer.revision
                events["write with a lease done"] += result.succeeded
            else:
                events["write with a lease done"] += 1
        self._think()

    # --- grants and revocations ---------------------------------------------------------------

    def _grant(self) -> None:
        """Under an id of its own, or one that is given to it."""
        self._granted += 1
        lease_id = 0 if self._chance.random() < 0.3 else 1_000_000 * self._number + self._granted
        if self._chance.random() < 0.3:
            self._ended.append(1_000_000 * self._number + 500_000 + self._granted)
        self._ask("grant", commands.grant(lease_id, self._chance.choice(TTLS_MS)), self._granted_own)

    def _granted_own(self, ask: Ask) -> None:
        if ask.answer is not None:
            result = ask.answer.result
            assert isinstance(result, GrantLeaseResult), ask
            lifetime = Lifetime(result.lease_id, result.ttl_ms)
            lifetime.renewed.append(Sighting(ask.begun_us, ask.ended_us))
            self._story.lifetimes[result.lease_id] = lifetime
            self._held[result.lease_id] = Held(lifetime)
            self._world.report.events["lease granted"] += 1
        self._think()

    def _granted_contested(self, ask: Ask) -> None:
        if ask.answer is not None:
            refused = isinstance(ask.answer.result, Failed)
            self._world.report.events["grant refused" if refused else "lease granted"] += 1
        self._think()

    def _revoke(self, lease_id: int) -> None:
        held = self._held.pop(lease_id)
        held.lifetime.revoked_us = self._world.timeline.now_us
        self._ended.append(lease_id)
        self._ask("revoke", commands.revoke(lease_id), self._revoked)

    def _revoked(self, ask: Ask) -> None:
        if ask.answer is not None:
            ended = isinstance(ask.answer.result, RevokeLeaseResult)
            self._world.report.events["lease revoked" if ended else "revocation refused"] += 1
        self._think()

    # --- renewals -----------------------------------------------------------------------------

    def _renew_later(self) -> None:
        if not self.is_stopped:
            self._world.timeline.after(self._chance.randrange(100, 500) * MS_US, self._renew)

    def _renew(self) -> None:
        """Everything it holds but what lapses; now and then also what is gone."""
        if self.is_stopped:
            return
        lease_ids = [lease_id for lease_id, held in self._held.items() if self._wants_renewal(held)]
        if self._ended and self._chance.random() < 0.2:
            lease_ids.append(self._chance.choice(self._ended))
        if not lease_ids:
            self._renew_later()
            return
        self._desk.ask(f"owner {self._number}: renew", commands.renew(lease_ids), self._renewed)

    def _wants_renewal(self, held: Held) -> bool:
        now_us = self._world.timeline.now_us
        if not held.lapses_until_us and self._chance.random() < 0.04:
            # Long enough for the slowest clock, and for a leader that works to do it.
            held.lapses_until_us = now_us + (held.lifetime.ttl_ms * 6 // 5 + 1_000) * MS_US
        return now_us >= held.lapses_until_us

    def _renewed(self, ask: Ask) -> None:
        if ask.answer is not None:
            result = ask.answer.result
            assert isinstance(result, RenewLeasesResult), ask
            self._note_renewals(ask, zip(ask.command.renew_leases.lease_ids, result.ttls_ms, strict=True))
        self._renew_later()

    def _note_renewals(self, ask: Ask, ttls_ms: Iterable[tuple[int, int]]) -> None:
        events = self._world.report.events
        for lease_id, ttl_ms in ttls_ms:
            lifetime, held = self._story.lifetimes.get(lease_id), self._held.get(lease_id)
            if not ttl_ms:
                has_lapsed = held is not None and held.lapses_until_us
                events["lease ended in a lapse" if has_lapsed else "lease found ended"] += 1
                self._missed(lease_id)
                continue
            assert lifetime is not None, ask
            lifetime.renewed.append(Sighting(ask.begun_us, ask.ended_us))
            events["lease renewed"] += 1
            if held is not None and held.lapses_until_us:
                events["lease outlived a lapse"] += 1
                held.lapses_until_us = 0

    def _missed(self, lease_id: int) -> None:
        """It was told that a lease does not exist."""
        lifetime = self._story.lifetimes.get(lease_id)
        if lifetime is not None:
            lifetime.missed_us.append(self._world.timeline.now_us)
        if self._held.pop(lease_id, None) is not None:
            self._ended.append(lease_id)
