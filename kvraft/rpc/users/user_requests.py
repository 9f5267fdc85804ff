"""Requests that change user data: checked, and turned into the commands of the log.

A command is the request itself without what only its caller needs, so what passes here is stored for ever and
applied on every node. Fields this node does not know are dropped: another version would act on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from kvraft.errors import RequestError
from kvraft.machine.results import Result, UserDataResult
from kvraft.rpc.kv_requests import Write, invalid, number, within
from kvraft.rpc.users import (
    admin_requests,
    contact_requests,
    group_requests,
    message_requests,
    session_requests,
)
from kvraft.rpc.users.message_responses import show_sent
from kvraft.v1 import command_pb2, user_data_pb2

_CHECKS: dict[str, Callable[[Any], None]] = {
    "register_device": session_requests.check_register_device,
    "remove_device": session_requests.check_device,
    "open_session": session_requests.check_open_session,
    "close_session": session_requests.check_close_session,
    "revoke_sessions": session_requests.check_revoke_sessions,
    "update_contact": contact_requests.check_update_contact,
    "batch_update_contacts": contact_requests.check_batch_update_contacts,
    "delete_contact": contact_requests.check_delete_contact,
    "block_user": contact_requests.check_block_user,
    "unblock_user": contact_requests.check_unblock_user,
    "create_group": group_requests.check_create_group,
    "update_group": group_requests.check_update_group,
    "delete_group": group_requests.check_delete_group,
    "add_group_members": group_requests.check_change_members,
    "remove_group_members": group_requests.check_change_members,
    "set_group_member_role": group_requests.check_set_group_member_role,
    "send_message": message_requests.check_stored_send,
    "acknowledge_messages": message_requests.check_acknowledge,
    "purge_queue": message_requests.check_queue,
    "redrive_dead_letters": message_requests.check_dead_letters,
    "delete_dead_letters": message_requests.check_dead_letters,
    "erase_user": admin_requests.check_erase_user,
}
"""By the name of the command in `UserDataCommand`: raises RequestError unless the request keeps the rules.
What is not here is no command of clients."""

_FREEING = frozenset(
    {
        "remove_device",
        "close_session",
        "revoke_sessions",
        "delete_contact",
        "unblock_user",
        "delete_group",
        "remove_group_members",
        "acknowledge_messages",
        "purge_queue",
        "delete_dead_letters",
        "erase_user",
    }
)
"""Commands that a full disk does not forbid."""


def user_data_command(kind: str, request: Any) -> Write:
    """The command of a unary call."""
    command = command_pb2.Command()
    request_id = request.request_id if request.HasField("request_id") else None
    _fill(command.user_data, kind, request)
    if request_id is not None:
        number(command, request_id)
    return Write(command.SerializeToString(), kind not in _FREEING)


def pipelined_command(request: user_data_pb2.UserDataCommand) -> Write:
    """The command of one of a batch."""
    command = command_pb2.Command()
    grows_state = fill_pipelined(command.user_data, request)
    return Write(command.SerializeToString(), grows_state)


def fill_pipelined(command: user_data_pb2.UserDataCommand, request: user_data_pb2.UserDataCommand) -> bool:
    """Makes of an empty command that of one of a batch; whether a full disk forbids it."""
    kind = request.WhichOneof("command")
    if kind is None:
        raise invalid("command", "is not set, or is of a kind that this node does not know")
    check = _check_of(kind)
    inner = getattr(request, kind)
    if inner.HasField("request_id"):
        raise invalid(f"{kind}.request_id", "is set; inside a batch the batch has the number")
    try:
        check(inner)
    except RequestError as error:
        raise within(kind, error) from None
    command.CopyFrom(request)
    command.DiscardUnknownFields()
    return kind not in _FREEING


def check_command(command: user_data_pb2.UserDataCommand) -> None:
    """Raises RequestError unless it may be in the log; those that nodes make by themselves are, too."""
    kind = command.WhichOneof("command")
    match kind:
        case None:
            raise invalid("user_data", "holds no command that this node knows")
        case "acknowledge_messages":
            message_requests.check_gathered(command.acknowledge_messages)
        case "fail_delivery":
            message_requests.check_fail_delivery(command.fail_delivery)
        case "record_export":
            admin_requests.check_record_export(command.record_export)
        case _:
            _check_of(kind)(getattr(command, kind))


def fill_response(
    response: user_data_pb2.UserDataResponse, request: user_data_pb2.UserDataCommand, result: Result
) -> None:
    """What one of a batch is answered."""
    assert isinstance(result, UserDataResult), result
    getattr(response, result.kind).CopyFrom(result.response)
    if result.kind == "send_message":
        show_sent(request.send_message, response.send_message)


def _fill(command: user_data_pb2.UserDataCommand, kind: str, request: Message) -> None:
    _check_of(kind)(request)
    filled = getattr(command, kind)
    filled.CopyFrom(request)
    filled.ClearField("request_id")
    filled.DiscardUnknownFields()


def _check_of(kind: str) -> Callable[[Any], None]:
    check = _CHECKS.get(kind)
    if check is None:
        raise invalid(kind, "is not a command of clients")
    return check
