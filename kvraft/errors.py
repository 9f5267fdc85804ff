"""Why a request failed, in words that the wire, the loop and the operator share.

Each reason is documented as *not applied* (for certain, now and later) or *unknown* (it may have
been applied, or may still be). The client library turns them back into exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal

from kvraft.copyable import Copyable

DOMAIN = "kvraft"
"""The domain of `google.rpc.ErrorInfo`."""


class Reason(Enum):
    """Why. The value is the reason of `google.rpc.ErrorInfo`."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    """The request breaks a rule or a limit; it names the field."""
    NO_LEADER = "NO_LEADER"
    """No leader was found in time; nothing was proposed."""
    NOT_APPLIED = "NOT_APPLIED"
    """It was proposed, but a new leader took over without it; it is lost for certain."""
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """It was proposed and may have been applied, or may still be."""
    SHUTTING_DOWN = "SHUTTING_DOWN"
    """This node stops; nothing was proposed."""
    DIVERGED = "DIVERGED"
    """The state of this node differs from a majority's: it serves nobody until it is re-seeded."""
    OVERLOADED = "OVERLOADED"
    """Too much is waiting already; nothing was proposed."""
    NO_SPACE = "NO_SPACE"
    """A disk is nearly full; reads and deletes go on."""
    REVISION_NOT_REACHED = "REVISION_NOT_REACHED"
    """The node did not come as far as `min_revision` in time."""
    UNKNOWN_CLIENT = "UNKNOWN_CLIENT"
    """The client id of a numbered write is not registered, or no longer."""
    STALE_SEQUENCE = "STALE_SEQUENCE"
    """The client has said that it has the answer to this number, which is therefore forgotten."""
    TOO_MANY_UNACKNOWLEDGED = "TOO_MANY_UNACKNOWLEDGED"
    """As many answers are kept for the client as it may have."""
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    """The client has sent another request under this number; its answer is not this one's."""
    LEASE_NOT_FOUND = "LEASE_NOT_FOUND"
    """There is no such lease; it may have ended."""
    LEASE_EXISTS = "LEASE_EXISTS"
    """The id that was asked for is in use."""
    RANGE_TOO_LARGE = "RANGE_TOO_LARGE"
    """A transaction would look at, delete or answer more than one may."""
    TOO_MUCH_WORK = "TOO_MUCH_WORK"
    """The others of its batch have taken all the work that one batch may take; send it in the next one."""
    COMPACTED = "COMPACTED"
    """Changes were asked for that are older than the history that is kept."""
    ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE"
    """The write was applied, but what it answers is too large to be sent or kept."""
    SLOW_READER = "SLOW_READER"
    """A stream was cut off because its caller did not read on; nothing was changed."""
    NOT_LEADER = "NOT_LEADER"
    """Only the leader does this; the error says who leads."""
    USER_NOT_FOUND = "USER_NOT_FOUND"
    """There is no such user: nobody has registered a device for them."""
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND"
    """The user has no such device."""
    TOO_MANY_DEVICES = "TOO_MANY_DEVICES"
    """The user has as many devices as a user may have."""
    LAST_DEVICE = "LAST_DEVICE"
    """A user's last device is not removed by itself."""
    LEASE_EXPIRED = "LEASE_EXPIRED"
    """The lease that a session was to belong to has ended."""
    SESSION_OPEN = "SESSION_OPEN"
    """The device has a session, and it was not to be taken over."""
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    """The device has no session."""
    SESSION_SUPERSEDED = "SESSION_SUPERSEDED"
    """The epoch is not that of the device's session: a newer one took its place."""
    SESSION_CLOSED = "SESSION_CLOSED"
    """The session was closed."""
    SESSION_EXPIRED = "SESSION_EXPIRED"
    """The session ended with its lease."""
    SESSION_REVOKED = "SESSION_REVOKED"
    """The user was logged out."""
    SLOW_CONSUMER = "SLOW_CONSUMER"
    """A stream was cut off because its caller did not read; it can be resumed."""
    CONTACT_NOT_FOUND = "CONTACT_NOT_FOUND"
    """The user has no such contact."""
    ETAG_MISMATCH = "ETAG_MISMATCH"
    """It was changed since the etag was read."""
    TOO_MANY_CONTACTS = "TOO_MANY_CONTACTS"
    """The user has as many contacts as a user may have."""
    TOO_MANY_BLOCKED = "TOO_MANY_BLOCKED"
    """The user has blocked as many users as a user may."""
    RESYNC_REQUIRED = "RESYNC_REQUIRED"
    """What was deleted since that revision is not remembered any more."""
    GROUP_NOT_FOUND = "GROUP_NOT_FOUND"
    """There is no such group."""
    GROUP_EXISTS = "GROUP_EXISTS"
    """The id that was asked for is in use."""
    GROUP_FULL = "GROUP_FULL"
    """The group would have more members than a group may have."""
    NOT_ADMIN = "NOT_ADMIN"
    """The actor's role does not allow it."""
    NOT_MEMBER = "NOT_MEMBER"
    """The actor or sender is not a member of the group."""
    LAST_OWNER = "LAST_OWNER"
    """The group would be left without an owner."""
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND"
    """The user is not a member of the group."""
    TOO_MANY_GROUPS = "TOO_MANY_GROUPS"
    """A user is in as many groups as a user may be."""
    MESSAGE_ID_REUSED = "MESSAGE_ID_REUSED"
    """The sender has sent another message under this id to the same destination."""
    QUEUE_FULL = "QUEUE_FULL"
    """The queues of all devices are full."""
    SEQ_NOT_GIVEN = "SEQ_NOT_GIVEN"
    """An acknowledgement names a number that no message of the queue has had yet."""
    TIME_NOT_AHEAD = "TIME_NOT_AHEAD"
    """By the cluster's time, a time that was given has passed, or is too far ahead."""
    UNIMPLEMENTED = "UNIMPLEMENTED"
    """There is no such method; the node may be older than the client, or the port another one."""
    INTERNAL = "INTERNAL"
    """A bug or a broken disk; the log of the node says more."""


Applied = Literal["no", "unknown"]


class RequestError(Copyable):
    """A request failed. `str(error)` says what happened, whether it was applied, and what to do."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        applied: Applied = "no",
        field: str | None = None,
        retry_after_ms: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.applied: Applied = applied
        self.field = field
        """Of INVALID_ARGUMENT: the request's field."""
        self.retry_after_ms = retry_after_ms
        """When it makes sense to try again, if that is known."""
        self.metadata = dict(metadata or {})
        """What a program may want to know besides, by name."""


def no_leader(waited_ms: int) -> RequestError:
    return RequestError(
        Reason.NO_LEADER,
        f"no leader was found in the {waited_ms} ms that were left; nothing was applied; try again, perhaps "
        "at another node",
        retry_after_ms=200,
    )


def not_applied() -> RequestError:
    return RequestError(
        Reason.NOT_APPLIED,
        "the leader changed before the write was committed, and it is lost; it was not applied; try again",
        retry_after_ms=50,
    )


def outcome_unknown(why: str) -> RequestError:
    return RequestError(
        Reason.OUTCOME_UNKNOWN,
        f"{why}; the write may have been applied or may still be; read before you write again",
        applied="unknown",
    )


def shutting_down() -> RequestError:
    return RequestError(
        Reason.SHUTTING_DOWN,
        "this node is stopping; nothing was applied; try another node",
        retry_after_ms=50,
    )


def diverged() -> RequestError:
    return RequestError(
        Reason.DIVERGED,
        "the state of this node differs from a majority's, so it serves nobody until it is re-seeded; "
        "nothing was applied; use another node",
        retry_after_ms=50,
    )


def overloaded(what: str) -> RequestError:
    return RequestError(
        Reason.OVERLOADED, f"{what}; nothing was applied; try again later", retry_after_ms=200
    )


def refused_by_leader() -> RequestError:
    return RequestError(
        Reason.INVALID_ARGUMENT,
        "the leader does not take this command from another node, perhaps because it is of an older version; "
        "nothing was applied",
    )


def no_space() -> RequestError:
    return RequestError(
        Reason.NO_SPACE,
        "the disk is nearly full, so writes that grow the state are refused; nothing was applied; free disk "
        "space or delete keys, and writes resume by themselves",
        retry_after_ms=1000,
    )


def no_space_for_log() -> RequestError:
    return RequestError(
        Reason.NO_SPACE,
        "the disk has no room for anything, so no write is taken, not even a delete; nothing was applied; "
        "free disk space, which something else may hold, and writes resume by themselves",
        retry_after_ms=1000,
    )


def no_space_for_log_here() -> RequestError:
    return RequestError(
        Reason.NO_LEADER,
        "the disk of this node has no room for anything, so it takes no write until there is some; nothing "
        "was applied; try another node",
        retry_after_ms=200,
    )


def revision_not_reached(min_revision: int, revision: int) -> RequestError:
    return RequestError(
        Reason.REVISION_NOT_REACHED,
        f"revision {min_revision} was asked for, but this node is at {revision}; wait, or ask another node",
    )


def read_index_not_reached(waited_ms: int) -> RequestError:
    return RequestError(
        Reason.NO_LEADER,
        f"in {waited_ms} ms this node did not come as far as its leader said that a linearizable read has to "
        "see; nothing was applied; try another node",
        retry_after_ms=200,
    )


def answer_too_large() -> RequestError:
    return RequestError(
        Reason.ANSWER_TOO_LARGE,
        "the write was applied, but what it answers is too large to be sent; read what it wrote, and ask for "
        "less next time",
        applied="unknown",
    )


def answer_not_kept(why: str) -> RequestError:
    return RequestError(
        Reason.ANSWER_TOO_LARGE,
        f"the write was applied or refused, but its answer was not kept: {why}; take the answers that wait, "
        "then read what was written, or repeat it under its number",
        applied="unknown",
    )


def slow_reader(waited_s: float) -> RequestError:
    return RequestError(
        Reason.SLOW_READER,
        f"the caller took no page for {waited_s:.0f} s, and an unread stream holds disk space; read again, "
        "and take the pages as they come",
    )
