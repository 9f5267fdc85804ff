"""From what a command was refused for, on every node alike, to what its caller is told."""

from __future__ import annotations

from kvraft.errors import Reason, RequestError, answer_too_large
from kvraft.machine.compares import COMPARED_KEYS_MAX
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.txn import ANSWER_BYTES_MAX, DELETED_KEYS_MAX
from kvraft.machine.work import COMMAND_WORK_MAX

_LIMITED = {
    COMMAND_WORK_MAX: "keys in all, where each further 4 KiB of a value count as one more",
    ANSWER_BYTES_MAX: "bytes in its answer",
    COMPARED_KEYS_MAX: "keys in the range of a comparison",
    DELETED_KEYS_MAX: "keys to delete",
}
"""Of what there may be so many in a transaction."""


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
        case FailureReason.REQUEST_ID_REUSED:
            return RequestError(
                Reason.REQUEST_ID_REUSED,
                f"number {subject} was used for another request, whose answer is kept; this call applied "
                "nothing; give every new write a new number",
            )
        case FailureReason.TOO_MUCH_WORK:
            return RequestError(
                Reason.TOO_MUCH_WORK,
                f"the commands before it took {subject:,} units of work, all that one batch may take; "
                "nothing of it was applied; send it again in a batch of its own",
            )
        case FailureReason.ANSWER_TOO_LARGE:
            return answer_too_large()
        case FailureReason.MALFORMED:
            return RequestError(Reason.INVALID_ARGUMENT, "the command is not one; nothing was applied")
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
                f"the transaction compares, deletes or reads more than it may (the limit is {subject:,} "
                f"{_LIMITED.get(subject, 'keys')}); nothing was applied; ask for less",
            )
        case reason:
            about = f"{failed.name!r}: " if failed.name else ""
            return RequestError(Reason[reason.name], f"{about}{_USER_DATA[reason]}; nothing was applied")


_USER_DATA = {
    FailureReason.USER_NOT_FOUND: "there is no such user; register a device for them first",
    FailureReason.DEVICE_NOT_FOUND: "the user has no such device; register it first",
    FailureReason.TOO_MANY_DEVICES: "the user has 6 devices, as many as a user may have; remove one first",
    FailureReason.LAST_DEVICE: "it is the user's last device; erase the user instead, or add another device",
    FailureReason.LEASE_EXPIRED: "the lease does not exist or has ended; grant a new one for the session",
    FailureReason.SESSION_OPEN: "the device has a session; take it over, or close it first",
    FailureReason.SESSION_SUPERSEDED: "the epoch is not that of the device's session, which ended or was "
    "taken over; open a session again if this device is to be served here",
    FailureReason.CONTACT_NOT_FOUND: "the user has no such contact",
    FailureReason.ETAG_MISMATCH: "it was changed since its etag was read; read it again, and decide anew",
    FailureReason.TOO_MANY_CONTACTS: "the user would have more than 10,000 contacts; delete some first",
    FailureReason.TOO_MANY_BLOCKED: "the user would have blocked more than 10,000 others; unblock some first",
    FailureReason.GROUP_NOT_FOUND: "there is no such group",
    FailureReason.GROUP_EXISTS: "a group has this id already; choose another",
    FailureReason.GROUP_FULL: "the group would have more than 1,000 members",
    FailureReason.NOT_ADMIN: "the actor's role in the group does not allow it",
    FailureReason.NOT_MEMBER: "the actor or sender is not a member of the group",
    FailureReason.LAST_OWNER: "the group would be left without an owner; make another member an owner first",
    FailureReason.MEMBER_NOT_FOUND: "the user is not a member of the group",
    FailureReason.TOO_MANY_GROUPS: "a user would be in more than 1,000 groups",
    FailureReason.MESSAGE_ID_REUSED: "the sender has sent another message under this id to the same "
    "destination within a day; give each message an id of its own",
    FailureReason.QUEUE_FULL: "the queues of all devices are full, 10,000 messages or 64 MiB; send again "
    "when some were acknowledged",
    FailureReason.SEQ_NOT_GIVEN: "an acknowledgement names a number that no message of the queue has had yet",
    FailureReason.TIME_NOT_AHEAD: "by the cluster's time, the message's expiration has passed already, or a "
    "time that was given is more than 366 days ahead",
}
"""What is said of each failure in user data."""
