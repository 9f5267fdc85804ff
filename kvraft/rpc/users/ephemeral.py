"""Messages that are never stored: handed to those devices that receive now, at the leader."""

from __future__ import annotations

from collections.abc import Iterator

from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import blocks, groups
from kvraft.machine.users.rows import find_recipient
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.rpc.header import ResponseHeaders
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import contact_pb2, message_pb2


def hand_over(
    node: Node, headers: ResponseHeaders, request: message_pb2.SendMessageRequest
) -> message_pb2.SendMessageResponse:
    """Gives the message, which was checked, to who is connected. Raises RequestError."""
    replica = node.replica
    if not replica.leads or replica.state.applied.term != replica.raft.term:
        raise RequestError(
            Reason.NOT_LEADER,
            "only the leader knows who is connected; send ephemeral messages there",
            metadata={"leader_id": str(replica.raft.leader_id or 0)},
        )
    message = request.message
    if message.HasField("user_id"):
        blocked, devices = _of_user(replica.state, message)
    else:
        blocked, devices = False, list(_of_group(replica.state, message))
    count = replica.deliveries.hand_over(message, devices)
    response = message_pb2.SendMessageResponse(header=headers.at(replica.machine.revision))
    response.accept_time.FromMilliseconds(replica.machine.clock_ms)
    if request.view == message_pb2.SEND_VIEW_SERVICE:
        if blocked:
            response.outcome = message_pb2.SEND_OUTCOME_BLOCKED
        elif count:
            response.outcome = message_pb2.SEND_OUTCOME_HANDED_OVER
        else:
            response.outcome = message_pb2.SEND_OUTCOME_NOT_ONLINE
    return response


def _of_user(state: StateReader, message: message_pb2.Message) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the recipient has blocked the sender, and otherwise their devices."""
    user = find_recipient(state, message.user_id)
    if user is None:
        raise request_error(Failed(FailureReason.USER_NOT_FOUND))
    if blocks.scope(state, message.user_id, user.blocked, message.sender_id) is not None:
        return True, []
    return False, [(message.user_id, device_id) for device_id in user.device_ids]


def _of_group(state: StateReader, message: message_pb2.Message) -> Iterator[tuple[str, str]]:
    """The devices of all members but the one it comes from."""
    group_id, sender_id = message.group_id, message.sender_id
    if groups.find(state, group_id) is None:
        raise request_error(Failed(FailureReason.GROUP_NOT_FOUND))
    if groups.member(state, group_id, sender_id) is None:
        raise request_error(Failed(FailureReason.NOT_MEMBER))
    for user_id in groups.member_ids(state, group_id):
        user = find_recipient(state, user_id)
        if user is None:
            continue
        scope = blocks.scope(state, user_id, user.blocked, sender_id)
        if scope == contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS:
            continue
        for device_id in user.device_ids:
            if (user_id, device_id) != (sender_id, message.sender_device_id):
                yield user_id, device_id
