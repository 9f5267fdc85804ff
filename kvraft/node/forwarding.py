"""What a follower asks of its leader on behalf of its clients, and what the leader answers."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.errors import Reason
from kvraft.raft.types import Index, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedGroup:
    """Propose these commands, if you lead in this very term. Taken groups are not answered: the
    follower meets them in its own log, or learns from the log that they will never come. A group without
    commands is proposed as well: what is missing before it in the log never will come."""

    group_id: int
    term: Term
    grows_state: bool
    commands: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.commands))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedRead:
    """Tell me a read index that covers everything acknowledged until now."""

    read_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRefused:
    """The group was not proposed and will not be. The reason is NO_LEADER, OVERLOADED, NO_SPACE or,
    where a command is none that the leader takes, INVALID_ARGUMENT."""

    group_id: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIndexAnswer:
    """Read once `index` is applied."""

    read_id: int
    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRefused:
    """There is no read index to give: not the leader, or not any more."""

    read_id: int


ForwardRequest = ForwardedGroup | ForwardedRead
ForwardAnswer = GroupRefused | ReadIndexAnswer | ReadRefused
