"""How a node is, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvraft.client import KvraftError, Status


@dataclass(frozen=True, slots=True)
class Health:
    """Of one endpoint."""

    endpoint: str
    answers: bool
    is_healthy: bool
    text: str
    """What it is, or what is wrong."""


def healths(answers: Mapping[str, Status | KvraftError]) -> list[Health]:
    """Of every endpoint, those with something wrong too."""
    return [_health(endpoint, answer) for endpoint, answer in answers.items()]


def unhealthy(found: list[Health]) -> str | None:
    """What is wrong with the nodes, if something is."""
    bad = sum(not each.is_healthy for each in found)
    return f"{bad} of {len(found)} endpoints {'is' if bad == 1 else 'are'} not healthy" if bad else None


def _health(endpoint: str, answer: Status | KvraftError) -> Health:
    from kvraft.client import KvraftError

    if isinstance(answer, KvraftError):
        return Health(endpoint, False, False, f"does not answer ({answer.reason})")
    role = f"member {answer.header.member_id}, {answer.role}"
    if not answer.header.leader_id:
        return Health(endpoint, True, False, f"{role}, knows no leader (term {answer.header.term})")
    if answer.alarms:
        alarms = ", ".join(f"{alarm.kind}: {alarm.message}" for alarm in answer.alarms)
        return Health(endpoint, True, False, f"{role}, {alarms}")
    behind = answer.commit_index - answer.applied_index
    return Health(
        endpoint, True, True, f"{role}, healthy" + (f", {behind:,} entries to apply" if behind else "")
    )
