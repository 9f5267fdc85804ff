"""What commands answer. Failures that a client's request can cause are results too."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from google.protobuf.message import Message

from kvraft.machine.records import KvRecord


@dataclass(frozen=True, slots=True)
class PutResult:
    previous: KvRecord | None
    """What the key held, if it was asked for and existed."""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    deleted: bool
    previous: KvRecord | None
    """What the key held, if it was asked for and existed."""


@dataclass(frozen=True, slots=True)
class DeleteRangeResult:
    deleted: int
    more: bool
    """Whether keys of the range are left because of the limit."""


@dataclass(frozen=True, slots=True)
class CompareAndSetResult:
    succeeded: bool
    current: KvRecord | None
    """If the comparison failed: what the key holds."""


@dataclass(frozen=True, slots=True)
class BatchWriteResult:
    existed: tuple[bool, ...]
    """Of each operation, whether its key existed just before it."""


@dataclass(frozen=True, slots=True)
class GetResult:
    """Of a read inside a transaction."""

    record: KvRecord | None
    """What the key holds, if it exists."""


@dataclass(frozen=True, slots=True)
class RangeResult:
    """Of a range read inside a transaction."""

    rows: tuple[tuple[bytes, KvRecord], ...]
    """Keys and what they hold, in the asked order; without values if only keys were asked for."""
    count: int
    """How many keys there are up to the limit; one more than the limit: more."""


@dataclass(frozen=True, slots=True)
class TxnResult:
    succeeded: bool
    """Whether all comparisons held."""
    results: tuple[TxnOperationResult, ...]
    """One for each operation that was done, in order."""


TxnOperationResult = PutResult | DeleteResult | DeleteRangeResult | GetResult | RangeResult | TxnResult


@dataclass(frozen=True, slots=True)
class ListResult:
    """Of a list of commands."""

    answers: tuple[Answer, ...]
    """One for each, in order."""


@dataclass(frozen=True, slots=True)
class RegisterClientResult:
    client_id: int


@dataclass(frozen=True, slots=True)
class GrantLeaseResult:
    lease_id: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class RenewLeasesResult:
    ttls_ms: tuple[int, ...]
    """For each lease that was named, in order, how long it lives from now on; 0: it does not exist."""


@dataclass(frozen=True, slots=True)
class RevokeLeaseResult:
    deleted: int
    """How many keys were deleted with it."""


@dataclass(frozen=True, slots=True)
class DoneResult:
    """There is nothing to say but that it is done."""


class UserDataResult(NamedTuple):
    """Of a command of user data."""

    kind: str
    """Its name in `UserDataCommand` and `UserDataResponse`."""
    response: Message
    """The response of its RPC, without a header."""


class FailureReason(Enum):
    """Why a command changed nothing. The values are a disk format."""

    UNKNOWN_CLIENT = 1
    """No such client is registered, or it was forgotten because it was idle."""
    STALE_SEQUENCE = 2
    """The client has said that it has the answer to this number; it is forgotten."""
    TOO_MANY_UNACKNOWLEDGED = 3
    """More answers are kept for the client than it may have."""
    MALFORMED = 90
    """The command is none: its bytes cannot be decoded, or say nothing."""
    REQUEST_ID_REUSED = 8
    """The client has sent another command under this number."""
    LEASE_NOT_FOUND = 4
    LEASE_EXISTS = 5
    ANSWER_TOO_LARGE = 7
    """The one exception: something was changed, the first time, but its answer was too large to be kept."""
    RANGE_TOO_LARGE = 6
    """A transaction compares, deletes or reads more than it may."""
    TOO_MUCH_WORK = 9
    """The commands before it in its list have taken all the work that one list may take."""
    USER_NOT_FOUND = 20
    DEVICE_NOT_FOUND = 21
    TOO_MANY_DEVICES = 22
    LAST_DEVICE = 23
    LEASE_EXPIRED = 24
    """The lease that a session was to belong to does not exist."""
    SESSION_OPEN = 25
    SESSION_SUPERSEDED = 26
    """The epoch is not that of the device's session."""
    CONTACT_NOT_FOUND = 30
    ETAG_MISMATCH = 31
    TOO_MANY_CONTACTS = 32
    TOO_MANY_BLOCKED = 33
    GROUP_NOT_FOUND = 40
    GROUP_EXISTS = 41
    GROUP_FULL = 42
    NOT_ADMIN = 43
    NOT_MEMBER = 44
    LAST_OWNER = 45
    MEMBER_NOT_FOUND = 46
    TOO_MANY_GROUPS = 47
    MESSAGE_ID_REUSED = 50
    QUEUE_FULL = 51
    SEQ_NOT_GIVEN = 52
    """An acknowledgement names a number that no message has had yet."""
    TIME_NOT_AHEAD = 53
    """By replicated time a message would have expired before it was sent, or lies too far ahead."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The command changed nothing, on every node alike."""

    reason: FailureReason
    subject: int = 0
    """The number it is about, if there is one: a client, a lease."""
    name: str = field(default="", compare=False)
    """The id it is about, where a request holds several. Not kept with the answer: only for people."""


Result = (
    PutResult
    | DeleteResult
    | DeleteRangeResult
    | CompareAndSetResult
    | BatchWriteResult
    | TxnResult
    | ListResult
    | RegisterClientResult
    | GrantLeaseResult
    | RenewLeasesResult
    | RevokeLeaseResult
    | DoneResult
    | UserDataResult
    | Failed
)


class Answer(NamedTuple):
    """A command's result, and the revision the state had after it. (A tuple: there is one for every command
    on every node, and a frozen dataclass takes four times as long to make.)"""

    revision: int
    result: Result
