"""What people asked and were told, and what their devices were given: the only thing the checker looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvraft.machine.results import FailureReason
from kvraft.v1 import contact_pb2, message_pb2

FOREVER = 1 << 62
"""When something ended that did not end."""

Device = tuple[str, str]
"""User and device."""


@dataclass(slots=True)
class Sending:
    """One message, sent once or more often."""

    request: message_pb2.SendMessageRequest
    invoked: int
    returned: int = FOREVER
    """When it was first answered that it is accepted."""
    answers: list[message_pb2.SendMessageResponse] = field(default_factory=list)
    refused: FailureReason | None = None
    """It was refused, at least once."""

    @property
    def message_id(self) -> str:
        return self.request.message.message_id

    @property
    def is_plain(self) -> bool:
        """Whether nothing about it lets it vanish: it has to be delivered."""
        return not self.request.HasField("ttl") and not self.request.collapse_key


@dataclass(frozen=True, slots=True)
class Given:
    """A device was given a message."""

    device: Device
    moment: int
    stint: int
    """Of which reading: numbers rise within one."""
    asked: int
    """When the reading began."""
    seq: int
    message_id: str
    payload: bytes
    revision: int
    is_again: bool
    """Whether this reading has refused it before: then it may come out of turn."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Numbers whose acknowledgement was confirmed."""

    device: Device
    stint: int
    confirmed: int
    """When."""
    seqs: frozenset[int]


@dataclass(slots=True)
class Blocking:
    """From when on and until when somebody was certainly blocked, or perhaps."""

    user_id: str
    other: str
    scope: contact_pb2.BlockScope
    invoked: int
    returned: int = FOREVER
    lifted: int = FOREVER
    """When its end was asked for."""
    ended: int = FOREVER
    """When its end was answered."""


@dataclass(slots=True)
class Story:
    """Of one run."""

    sendings: dict[str, Sending] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    blockings: list[Blocking] = field(default_factory=list)
    purged: set[Device] = field(default_factory=set)
    """Whose queue was purged at some time, or may have been."""
    moment: int = 0

    def now(self) -> int:
        """The next moment: all are different."""
        self.moment += 1
        return self.moment
