"""Sending: to all devices of a user, or of every member of a group, as one change of the state.

Whatever decides about a message is looked at here, at its own place in the log: who the members are and what
devices they have, who has blocked whom, and which queues are full. A block comes last and changes nothing of
what a sender is answered: whoever is blocked is refused for the same reasons as everybody else, and else gets
an answer that looks the same and has a revision of its own.
"""

from __future__ import annotations

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import blocks, fanout, groups, queues
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.rows import find_recipient
from kvraft.machine.users.sent import Memory
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import contact_pb2, message_pb2

AHEAD_MS_MAX = 366 * 24 * 60 * 60 * 1000
"""How far ahead a time may lie."""
FULL_RESULTS_MAX = 100
"""Devices of a group whose full queues an answer names."""


_QUEUED, _SCHEDULED = message_pb2.SEND_OUTCOME_QUEUED, message_pb2.SEND_OUTCOME_SCHEDULED
_BLOCKED, _NO_RECIPIENTS = message_pb2.SEND_OUTCOME_BLOCKED, message_pb2.SEND_OUTCOME_NO_RECIPIENTS

_Times = tuple[int, int]
"""When a message is queued (0: now) and when it expires (0: after the default time), by replicated time."""
_Recipients = tuple[list[OpenQueue], list[OpenQueue], int]
"""The queues a message is meant for: those that take it, those that are full, and how many more have room but
belong to users who do not want it."""


def send(
    space: UserSpace, request: message_pb2.SendMessageRequest
) -> message_pb2.SendMessageResponse | Failed:
    """Queues a message, or answers what it was answered before. The header of the answer has the revision at
    which it was accepted."""
    message = request.message
    memory = Memory(space, message)
    known = memory.answer()
    if known is not None:
        return known
    times = _times(request, space.clock_ms)
    if times is None:
        return Failed(FailureReason.TIME_NOT_AHEAD)
    due_ms, expire_ms = times
    size_bytes = queues.size_of(message)
    to_group = bool(message.group_id)
    recipients = (_members if to_group else _devices)(space, message, size_bytes)
    if isinstance(recipients, Failed):
        return recipients
    accepting, full, blocking = recipients
    if full and not accepting and not blocking:
        return Failed(FailureReason.QUEUE_FULL)
    response = message_pb2.SendMessageResponse(queued_devices=len(accepting))
    response.header.revision = space.revision
    response.accept_time.seconds, rest_ms = divmod(space.clock_ms, 1_000)
    response.accept_time.nanos = rest_ms * 1_000_000
    seqs: list[int] = []
    if accepting:
        response.outcome = _SCHEDULED if due_ms else _QUEUED
        seqs = fanout.enqueue(
            space,
            message,
            accepting,
            size_bytes=size_bytes,
            expire_ms=expire_ms,
            due_ms=due_ms,
            collapse_key=request.collapse_key,
        )
    else:
        response.outcome = _BLOCKED if blocking else _NO_RECIPIENTS
    add = response.device_results.add
    if to_group:
        memory.remember(response)
        for queue in full[:FULL_RESULTS_MAX]:
            add(user_id=queue.user_id, device_id=queue.device_id, queue_full=True)
        return response
    # Who the user is need not be remembered: the message says it, whenever it comes.
    for queue, seq in zip(accepting, seqs, strict=True):
        add(device_id=queue.device_id, seq=seq)
    for queue in full:
        add(device_id=queue.device_id, queue_full=True)
    memory.remember(response)
    return response


def _times(request: message_pb2.SendMessageRequest, clock_ms: int) -> _Times | None:
    """None: a time has passed, or is too far ahead."""
    due_ms = request.deliver_time.ToMilliseconds() if request.HasField("deliver_time") else 0
    if due_ms > clock_ms + AHEAD_MS_MAX:
        return None
    if due_ms <= clock_ms:
        due_ms = 0
    match request.WhichOneof("expiration"):
        case "ttl":
            return due_ms, (due_ms or clock_ms) + request.ttl.ToMilliseconds()
        case "expire_time":
            expire_ms = request.expire_time.ToMilliseconds()
            in_time = (due_ms or clock_ms) < expire_ms <= clock_ms + AHEAD_MS_MAX
            return (due_ms, expire_ms) if in_time else None
        case _:
            return due_ms, 0


def _devices(space: UserSpace, message: message_pb2.Message, size_bytes: int) -> _Recipients | Failed:
    """The queues of all devices of a user."""
    user_id = message.user_id
    user = find_recipient(space.state, user_id)
    if user is None or not user.device_ids:
        return Failed(FailureReason.USER_NOT_FOUND, name=user_id)
    accepting: list[OpenQueue] = []
    full: list[OpenQueue] = []
    for device_id in user.device_ids:
        queue = OpenQueue(space, user_id, device_id)
        (accepting if queue.has_room(size_bytes) else full).append(queue)
    if blocks.scope(space.state, user_id, user.blocked, message.sender_id) is not None:
        # What else the queues are like is nothing of the sender's.
        return [], [] if accepting else full, len(accepting)
    return accepting, full, 0


def _members(space: UserSpace, message: message_pb2.Message, size_bytes: int) -> _Recipients | Failed:
    """The queues of all devices of all members of a group, but that of the sender's device."""
    state, group_id, sender_id = space.state, message.group_id, message.sender_id
    if groups.find(state, group_id) is None:
        return Failed(FailureReason.GROUP_NOT_FOUND, name=group_id)
    if groups.member(state, group_id, sender_id) is None:
        return Failed(FailureReason.NOT_MEMBER, name=sender_id)
    accepting: list[OpenQueue] = []
    full: list[OpenQueue] = []
    blocking = 0
    member_ids = groups.member_ids(state, group_id)
    for user_id in member_ids:
        user = find_recipient(state, user_id)
        assert user is not None, f"a member of group {group_id!r} is no user"
        is_sender = user_id == sender_id
        scope = blocks.scope(state, user_id, user.blocked, sender_id)
        is_blocking = scope == contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS
        for device_id in user.device_ids:
            if is_sender and device_id == message.sender_device_id:
                continue
            queue = OpenQueue(space, user_id, device_id)
            if not queue.has_room(size_bytes):
                full.append(queue)
            elif is_blocking:
                blocking += 1
            else:
                accepting.append(queue)
    space.looked_at += 2 * len(member_ids) + len(accepting) + len(full) + blocking
    return accepting, full, blocking
