"""From what a command was refused for, on every node alike, to what its caller is told."""

from __future__ import annotations

from kvraft.errors import Reason, RequestError, answer_too_large
from kvraft.machine.results import Failed, FailureReason


def request_error(failed: Failed) -> RequestError:
    """The command changed nothing."""
    subject = failed.subject
    match failed.reason:
        case FailureReason.UNKNOWN_CLIENT:
            return RequestError(
                Reason.UNKNOWN_CLIENT,
                f"client {subject} is not registered, or was forgotten because it was idle; this call "
                "applied nothing, but an earlier one with the same number may have; register again",
            )
        case FailureReason.STALE_SEQUENCE:
            return RequestError(
                Reason.STALE_SEQUENCE,
                f"number {subject} is below `first_unacknowledged`, so its answer is forgotten; this call "
                "applied nothing",
            )
        case FailureReason.TOO_MANY_UNACKNOWLEDGED:
            return RequestError(
                Reason.TOO_MANY_UNACKNOWLEDGED,
                "too many answers wait for this client; nothing was applied; raise `first_unacknowledged` to "
                "the lowest number whose answer is still wanted",
            )
        case FailureReason.ANSWER_TOO_LARGE:
            return answer_too_large()
        case FailureReason.LEASE_NOT_FOUND:
            return RequestError(
                Reason.LEASE_NOT_FOUND, f"lease {subject} does not exist or has ended; nothing was applied"
            )
        case FailureReason.LEASE_EXISTS:
            return RequestError(
                Reason.LEASE_EXISTS, f"lease {subject} exists already; nothing was applied; choose another id"
            )
        case FailureReason.RANGE_TOO_LARGE:
            return RequestError(
                Reason.RANGE_TOO_LARGE,
                f"the transaction compares, deletes or reads more than it may (a limit is {subject:,}); "
                "nothing was applied; ask for less",
            )
