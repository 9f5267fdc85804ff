"""How much work a command will be, as far as it can be told before it is applied.

Only a guess, by this node's state as it is now: it decides when a command is given to the log and never what
is done with it. It is rather too high than too low, and never more than what a command may cost.
"""

from __future__ import annotations

from collections.abc import Iterable

from kvraft.machine.users import groups
from kvraft.machine.users.queues import MESSAGES_MAX
from kvraft.machine.work import COMMAND_WORK_MAX, LIST_WORK_MAX, QUEUE_WORK
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import command_pb2, message_pb2, user_data_pb2

_COMPARED_RANGE = 1_000
_DEVICES_OF_USER = 2
_PLAIN = 20
"""Of a command of user data that changes a few rows."""
_OF_A_QUEUE = frozenset({"purge_queue", "remove_device", "erase_user"})
_OF_A_GROUP = frozenset({"create_group", "delete_group", "add_group_members", "remove_group_members"})


def estimate(state: StateReader, data: bytes) -> int:
    """The work of an encoded `Command`."""
    command = command_pb2.Command.FromString(data)
    if command.HasField("list"):
        return min(LIST_WORK_MAX, sum(_of_command(state, each) for each in command.list.commands))
    return _of_command(state, command)


def _of_command(state: StateReader, command: command_pb2.Command) -> int:
    match command.WhichOneof("command"):
        case "user_data":
            return _of_user_data(state, command.user_data)
        case "delete_range":
            return min(command.delete_range.limit, COMMAND_WORK_MAX)
        case "batch_write":
            return len(command.batch_write.keys)
        case "txn":
            return min(_of_txn(command.txn), COMMAND_WORK_MAX)
        case _:
            return 1


def _of_txn(txn: command_pb2.TxnCommand) -> int:
    compares = sum(_COMPARED_RANGE if compare.is_range else 1 for compare in txn.compares)
    return compares + max(_of_operations(txn.success), _of_operations(txn.failure))


def _of_operations(operations: Iterable[command_pb2.TxnCommand.Operation]) -> int:
    work = 0
    for operation in operations:
        match operation.WhichOneof("operation"):
            case "delete_range":
                work += operation.delete_range.limit
            case "range":
                work += operation.range.limit
            case "txn":
                work += _of_txn(operation.txn)
            case _:
                work += 1
    return work


def _of_user_data(state: StateReader, command: user_data_pb2.UserDataCommand) -> int:
    kind = command.WhichOneof("command")
    if kind == "send_message":
        return _of_send(state, command.send_message.message)
    if kind in _OF_A_QUEUE:
        return MESSAGES_MAX
    return groups.MEMBERS_MAX if kind in _OF_A_GROUP else _PLAIN


def _of_send(state: StateReader, message: message_pb2.Message) -> int:
    group = groups.find(state, message.group_id) if message.group_id else None
    recipients = 1 if group is None else group.member_count
    return recipients * _DEVICES_OF_USER * QUEUE_WORK
