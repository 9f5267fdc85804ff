"""How a call can fail. The class says what kind of failure it was, `applied` whether a write
may have happened, `reason` which one of the documented reasons it was.

Only two classes can follow a write that was applied: `OutcomeUnknown` and `InternalError`. After
any other it is safe to send the write again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kvraft.copyable import Copyable

Applied = Literal["no", "unknown"]


class KvraftError(Copyable):
    """A call failed. The message says what happened, where, whether it was applied, and what to do."""

    applied: Applied
    """"no": nothing was and nothing will be changed by the call. "unknown": a write may have been
    applied, or may still be."""
    reason: str
    """In capitals: the server's (NO_LEADER, OVERLOADED, ...), or the library's CONNECT_FAILED,
    CONNECTION_LOST and MESSAGE_TOO_LARGE, or the name of a gRPC code where no reason was given."""

    def __init__(self, message: str, *, reason: str, applied: Applied) -> None:
        super().__init__(message)
        self.reason = reason
        self.applied = applied


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of a request."""

    field: str
    """Path in the request message, such as `operations[3].put.key`."""
    description: str


class InvalidArgument(KvraftError):
    """The request itself is wrong; repeating it is useless."""

    violations: tuple[FieldViolation, ...]

    def __init__(self, message: str, *, reason: str, violations: tuple[FieldViolation, ...]) -> None:
        super().__init__(message, reason=reason, applied="no")
        self.violations = violations


class Unavailable(KvraftError):
    """No endpoint could serve the call before the deadline. Not applied."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason, applied="no")


class DeadlineExceeded(KvraftError):
    """The call was not finished in time and is known not to be applied: a read, or a write that
    was given up before it was proposed."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason, applied="no")


class ResourceExhausted(KvraftError):
    """A limit of the cluster refused the call. Not applied, and not repeated by the library: that
    would add to the load."""

    retry_after_s: float | None
    """The pause the server asks for; `None` if waiting will not help."""

    def __init__(self, message: str, *, reason: str, retry_after_s: float | None) -> None:
        super().__init__(message, reason=reason, applied="no")
        self.retry_after_s = retry_after_s


class Compacted(KvraftError):
    """A watch was to begin, or go on, with changes that no node keeps any more."""

    oldest_revision: int
    """The first revision that some node can still be watched from."""

    def __init__(self, message: str, *, oldest_revision: int) -> None:
        super().__init__(message, reason="COMPACTED", applied="no")
        self.oldest_revision = oldest_revision


class OutcomeUnknown(KvraftError):
    """A write was sent and its answer was lost: it may have been applied, or may still be.

    Read the key before writing again, or write with `compare_and_set`, which can be repeated safely.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason, applied="unknown")


class LeaseNotFound(KvraftError):
    """The lease that was named does not exist; it may have ended. Nothing was applied."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="LEASE_NOT_FOUND", applied="no")


class LeaseExists(KvraftError):
    """The id that was asked for is in use. Nothing was applied."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="LEASE_EXISTS", applied="no")


class LeaseLost(KvraftError):
    """A lease that was held has ended, or may have, and with it the lock or the leadership. What was
    written under it before stays written."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="LEASE_LOST", applied="no")


class RefusedError(KvraftError):
    """The state did not allow it: `reason` says what. Nothing was applied, and the same call again will fail
    again until the state is another."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, reason=reason, applied="no")


class NotFound(RefusedError):
    """What the call is about does not exist: USER_NOT_FOUND, DEVICE_NOT_FOUND, SESSION_NOT_FOUND,
    CONTACT_NOT_FOUND, GROUP_NOT_FOUND, MEMBER_NOT_FOUND."""


class AlreadyExists(RefusedError):
    """What was to be made is there: SESSION_OPEN, GROUP_EXISTS."""


class FailedPrecondition(RefusedError):
    """Something else has to be done first: LAST_DEVICE, LEASE_EXPIRED, LAST_OWNER, NOT_LEADER."""


class PermissionDenied(RefusedError):
    """The actor or sender may not do it: NOT_ADMIN, NOT_MEMBER."""


class Aborted(RefusedError):
    """Somebody else was faster: ETAG_MISMATCH, SESSION_SUPERSEDED, SESSION_CLOSED, SESSION_EXPIRED,
    SLOW_CONSUMER."""


class OutOfRange(RefusedError):
    """What was asked for is too old to be known: RESYNC_REQUIRED. (Of a watch: `Compacted`.)"""


class Unauthenticated(RefusedError):
    """The user was logged out: SESSION_REVOKED."""


class ClientClosed(Copyable, RuntimeError):
    """The client is closed. A mistake of the caller, but where a block ends that outlived its client."""

    def __init__(self) -> None:
        super().__init__("the client is closed")


class InternalError(KvraftError):
    """A node failed in a way it should not, or what answered is not a kvraft node."""
