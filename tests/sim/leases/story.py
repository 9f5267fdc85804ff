"""What owners asked and were told."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvraft.machine.results import Answer
from kvraft.v1 import command_pb2
from tests.sim.history import FOREVER, Outcome


@dataclass(slots=True)
class Ask:
    """One command. A numbered one is repeated until it is answered; any other is asked once."""

    number: int
    name: str
    command: command_pb2.Command
    begun_us: int
    ended_us: int = FOREVER
    outcome: Outcome = Outcome.UNKNOWN
    answer: Answer | None = None
    """If it is DONE."""

    @property
    def is_numbered(self) -> bool:
        return bool(self.command.client_id)

    def __str__(self) -> str:
        end = "" if self.ended_us == FOREVER else f"{self.ended_us / 1e6:.6f}"
        span = f"[{self.begun_us / 1e6:.6f}..{end}]"
        return f"#{self.number} {span} {self.name}: {self.outcome.value} {self.answer}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """At some moment from `begun_us` to `ended_us` a lease was certainly there, with its whole time before
    it."""

    begun_us: int
    ended_us: int


@dataclass(slots=True)
class Lifetime:
    """What its owner knows of a lease, whose id nobody else chooses."""

    lease_id: int
    ttl_ms: int
    renewed: list[Sighting] = field(default_factory=list)
    missed_us: list[int] = field(default_factory=list)
    """When its owner was told that it does not exist."""
    revoked_us: int = FOREVER
    """When its owner first asked for its end."""


@dataclass(slots=True)
class Story:
    """Of one run."""

    asks: dict[int, Ask] = field(default_factory=dict)
    lifetimes: dict[int, Lifetime] = field(default_factory=dict)
    """By lease."""
    lasting: dict[int, bytes] = field(default_factory=dict)
    """Leases that outlast the run, each with a key that nobody else writes."""
