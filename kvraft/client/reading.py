"""How fresh a read must be: `LINEARIZABLE`, `AtLeast(revision)` or `STALE`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from kvraft.client.arguments import checked
from kvraft.v1 import common_pb2


@dataclass(frozen=True, slots=True)
class Linearizable:
    """Sees every write that was acknowledged before the read began (Raft dissertation 6.4)."""


@checked
@dataclass(frozen=True, slots=True)
class AtLeast:
    """Sees at least `revision`, such as that of an own write; needs no leader. Waits for the
    revision, and raises DeadlineExceeded (REVISION_NOT_REACHED) if it does not come."""

    revision: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Sees whatever the asked node has applied. Needs no leader, never waits, may be old."""


Consistency = Linearizable | AtLeast | Stale

LINEARIZABLE = Linearizable()
STALE = Stale()


def consistency_fields(consistency: Consistency) -> tuple[common_pb2.Consistency, int]:
    """The fields `consistency` and `min_revision` of a request."""
    match consistency:
        case Linearizable():
            return common_pb2.CONSISTENCY_LINEARIZABLE, 0
        case AtLeast(revision):
            return common_pb2.CONSISTENCY_AT_LEAST, revision
        case Stale():
            return common_pb2.CONSISTENCY_STALE, 0
        case _:
            assert_never(consistency)
