"""Requests of ContactService against the rules of `contact.proto`. Each check raises RequestError."""

from __future__ import annotations

from kvraft.machine.users import contacts
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.users.checks import check_bytes, check_new_id, check_user_id
from kvraft.rpc.users.edit_checks import check_different, check_etag, check_mask, check_timestamp
from kvraft.v1 import contact_pb2

UPDATES_MAX = 500
DISPLAY_NAME_BYTES_MAX = 256
DATA_BYTES_MAX = 4_096


def check_update_contact(request: contact_pb2.UpdateContactRequest) -> None:
    """UpdateContact."""
    check_user_id("user_id", request.user_id)
    _check_update("update", request.update)


def check_batch_update_contacts(request: contact_pb2.BatchUpdateContactsRequest) -> None:
    """BatchUpdateContacts."""
    check_user_id("user_id", request.user_id)
    count = len(request.updates)
    if not 1 <= count <= UPDATES_MAX:
        raise invalid("updates", f"holds {count:,} updates; 1 to {UPDATES_MAX} are allowed")
    for position, update in enumerate(request.updates):
        _check_update(f"updates[{position}]", update)
    check_different("updates", [update.contact.contact_id for update in request.updates])


def check_delete_contact(request: contact_pb2.DeleteContactRequest) -> None:
    """DeleteContact."""
    check_user_id("user_id", request.user_id)
    check_user_id("contact_id", request.contact_id)
    check_etag("etag", request.etag)


def check_block_user(request: contact_pb2.BlockUserRequest) -> None:
    """BlockUser."""
    check_user_id("user_id", request.user_id)
    check_user_id("blocked_id", request.blocked_id)
    check_new_id("blocked_id", request.blocked_id)
    if request.blocked_id == request.user_id:
        raise invalid("blocked_id", "is the user; nobody blocks themselves")
    if request.scope not in contact_pb2.BlockScope.values():
        raise invalid("scope", f"is {request.scope}, which this node does not know")


def check_unblock_user(request: contact_pb2.UnblockUserRequest) -> None:
    """UnblockUser."""
    check_user_id("user_id", request.user_id)
    check_user_id("blocked_id", request.blocked_id)


def _check_update(field: str, update: contact_pb2.ContactUpdate) -> None:
    contact = update.contact
    check_user_id(f"{field}.contact.contact_id", contact.contact_id)
    check_new_id(f"{field}.contact.contact_id", contact.contact_id)
    check_bytes(f"{field}.contact.display_name", contact.display_name, DISPLAY_NAME_BYTES_MAX)
    check_bytes(f"{field}.contact.data", contact.data, DATA_BYTES_MAX)
    check_timestamp(f"{field}.contact.mute_until", contact.mute_until)
    check_mask(f"{field}.update_mask", update.update_mask, contacts.FIELDS)
    check_etag(f"{field}.etag", update.etag)
