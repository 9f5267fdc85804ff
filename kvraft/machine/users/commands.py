"""From a command of user data to the function that does it."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.results import Failed, FailureReason, UserDataResult
from kvraft.machine.users import (
    acknowledgements,
    blocks,
    contacts,
    dead_letters,
    devices,
    erasure,
    groups,
    purges,
    sends,
    sessions,
)
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import user_data_pb2


def apply(space: UserSpace, command: user_data_pb2.UserDataCommand) -> UserDataResult | Failed:
    """Does a command. Raises UnknownCommandError."""
    kind = command.WhichOneof("command")
    if kind is None and not len(UnknownFieldSet(command)):
        return Failed(FailureReason.MALFORMED)
    response = _apply(space, kind, command)
    if isinstance(response, Failed):
        assert not space.changed, f"{kind} has changed something and failed"
        return response
    assert kind is not None
    return UserDataResult(kind, response)


def _apply(space: UserSpace, kind: str | None, command: user_data_pb2.UserDataCommand) -> Message | Failed:
    match kind:
        case "send_message":
            return sends.send(space, command.send_message)
        case "acknowledge_messages":
            return acknowledgements.acknowledge(space, command.acknowledge_messages)
        case "fail_delivery":
            return dead_letters.fail_delivery(space, command.fail_delivery)
        case "purge_queue":
            return purges.purge(space, command.purge_queue)
        case "redrive_dead_letters":
            return dead_letters.redrive(space, command.redrive_dead_letters)
        case "delete_dead_letters":
            return dead_letters.delete(space, command.delete_dead_letters)
        case "register_device":
            return devices.register(space, command.register_device)
        case "remove_device":
            return devices.remove(space, command.remove_device)
        case "open_session":
            return sessions.open_session(space, command.open_session)
        case "close_session":
            return sessions.close_session(space, command.close_session)
        case "revoke_sessions":
            return sessions.revoke_sessions(space, command.revoke_sessions)
        case "update_contact":
            return contacts.update(space, command.update_contact)
        case "batch_update_contacts":
            return contacts.batch_update(space, command.batch_update_contacts)
        case "delete_contact":
            return contacts.delete(space, command.delete_contact)
        case "block_user":
            return blocks.block(space, command.block_user)
        case "unblock_user":
            return blocks.unblock(space, command.unblock_user)
        case "create_group":
            return groups.create(space, command.create_group)
        case "update_group":
            return groups.update(space, command.update_group)
        case "delete_group":
            return groups.delete(space, command.delete_group)
        case "add_group_members":
            return groups.add_members(space, command.add_group_members)
        case "remove_group_members":
            return groups.remove_members(space, command.remove_group_members)
        case "set_group_member_role":
            return groups.set_member_role(space, command.set_group_member_role)
        case "erase_user":
            return erasure.erase_user(space, command.erase_user)
        case "record_export":
            return erasure.record_export(space, command.record_export)
        case _:
            raise UnknownCommandError(
                f"a command of user data is of kind {kind}, which this node does not know"
            )
