"""Contacts, and what changed in them: a device keeps a copy and asks what is new since a revision.

A contact is in two places: under its id, and under the revision that changed it last, where it moves to with
each change. A deleted one is in the second only, until it comes back; a row that tells its revision finds it
there. So what changed is one scan, in which each contact is once. The last 10,000 deletions of a user are
remembered; `UserRow.contacts_floor_revision` is the newest one that is not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import contact_pb2, user_data_pb2

CONTACTS_MAX = 10_000
"""Of one user."""
DELETIONS_MAX = 10_000
"""How many of one user are remembered."""
FIELDS = ("display_name", "favorite", "mute_until", "data")
"""What an update may set."""
NO_ETAG = "0"
"""The etag of a contact that does not exist."""

_CHANGED = b""
_DELETED = b"d"
_REVISION = struct.Struct(">Q")


def is_deletion(row: bytes) -> bool:
    """Whether a row by revision says that a contact was deleted."""
    return row == _DELETED


class Change(NamedTuple):
    """The last change of a contact."""

    revision: int
    contact_id: str
    contact: contact_pb2.Contact | None
    """None: it was deleted."""


# --- reads ----------------------------------------------------------------------------------------


def find(state: StateReader, user_id: str, contact_id: str) -> contact_pb2.Contact | None:
    """A contact, if the user has it."""
    row = state.get(keys.contact_key(user_id, contact_id))
    return None if row is None else contact_pb2.Contact.FromString(row)


def scan(state: StateReader, user_id: str, after: str = "") -> Iterator[contact_pb2.Contact]:
    """The contacts of a user by id, from the first id after `after` on."""
    start, end = keys.of_user_range(user_id, b"c")
    if after:
        start = keys.contact_key(user_id, after) + b"\x00"
    for _, row in state.scan(start, end):
        yield contact_pb2.Contact.FromString(row)


def changes_after(state: StateReader, user_id: str, revision: int, contact_id: str = "") -> Iterator[Change]:
    """What changed after `revision`, by revision and id; or in it or after it, but after `contact_id`."""
    _, end = keys.of_user_range(user_id, b"d")
    start = (
        keys.contact_change_key(user_id, revision, contact_id) + b"\x00"
        if contact_id
        else keys.contact_change_key(user_id, revision + 1, "")
    )
    for row_key, row in state.scan(start, end):
        changed_at, changed_id = keys.revision_and_contact_of_row(row_key)
        yield Change(changed_at, changed_id, None if row == _DELETED else find(state, user_id, changed_id))


def floor_revision(user: user_data_pb2.UserRow) -> int:
    """A copy as of an older revision may hold a contact that is gone: its deletion is forgotten, or it was
    that of a user of the same id who was erased."""
    return max(user.contacts_floor_revision, min(device.create_revision for device in user.devices))


# --- changes --------------------------------------------------------------------------------------


def update(
    space: UserSpace, request: contact_pb2.UpdateContactRequest
) -> contact_pb2.UpdateContactResponse | Failed:
    """Creates or changes a contact."""
    updated = _update(space, request.user_id, (request.update,))
    if isinstance(updated, Failed):
        return updated
    (contact,) = updated
    return contact_pb2.UpdateContactResponse(contact=contact)


def batch_update(
    space: UserSpace, request: contact_pb2.BatchUpdateContactsRequest
) -> contact_pb2.BatchUpdateContactsResponse | Failed:
    """Creates or changes contacts, all of them or none."""
    updated = _update(space, request.user_id, request.updates)
    if isinstance(updated, Failed):
        return updated
    return contact_pb2.BatchUpdateContactsResponse(etag=str(space.revision))


def delete(
    space: UserSpace, request: contact_pb2.DeleteContactRequest
) -> contact_pb2.DeleteContactResponse | Failed:
    """Deletes a contact, if the user has it."""
    found = find_user(space.state, request.user_id)
    if found is None:
        return Failed(FailureReason.USER_NOT_FOUND, name=request.user_id)
    row_key = keys.contact_key(request.user_id, request.contact_id)
    row = space.get(row_key)
    if row is None:
        return contact_pb2.DeleteContactResponse(deleted=False)
    contact = contact_pb2.Contact.FromString(row)
    if request.etag and request.etag != contact.etag:
        return Failed(FailureReason.ETAG_MISMATCH)
    user, user_row = found
    space.delete(row_key, row)
    _move_change(space, request.user_id, contact, _DELETED)
    deletion_key = keys.contact_deletion_key(request.user_id, request.contact_id)
    space.put(deletion_key, _REVISION.pack(space.revision), None)
    user.contacts -= 1
    user.deleted_contacts += 1
    if user.deleted_contacts > DELETIONS_MAX:
        oldest = _oldest_deletion(space.state, request.user_id, user.contacts_floor_revision)
        user.contacts_floor_revision, contact_id = oldest
        user.deleted_contacts -= _forget_deletion(space, request.user_id, contact_id)
    _put_user(space, request.user_id, user, user_row)
    return contact_pb2.DeleteContactResponse(deleted=True)


def _update(
    space: UserSpace, user_id: str, updates: Sequence[contact_pb2.ContactUpdate]
) -> list[contact_pb2.Contact] | Failed:
    """The contacts, which are all different, as they are then."""
    found = find_user(space.state, user_id)
    if found is None:
        return Failed(FailureReason.USER_NOT_FOUND, name=user_id)
    user, user_row = found
    rows = [space.get(keys.contact_key(user_id, each.contact.contact_id)) for each in updates]
    previous = [None if row is None else contact_pb2.Contact.FromString(row) for row in rows]
    for each, contact in zip(updates, previous, strict=True):
        if each.etag and each.etag != (NO_ETAG if contact is None else contact.etag):
            return Failed(FailureReason.ETAG_MISMATCH, name=each.contact.contact_id)
    created = rows.count(None)
    if user.contacts + created > CONTACTS_MAX:
        return Failed(FailureReason.TOO_MANY_CONTACTS)

    updated = []
    for each, row, contact in zip(updates, rows, previous, strict=True):
        if contact is None:
            contact = contact_pb2.Contact(contact_id=each.contact.contact_id)  # noqa: PLW2901
            user.deleted_contacts -= _forget_deletion(space, user_id, contact.contact_id)
        _set_fields(contact, each)
        _move_change(space, user_id, contact, _CHANGED)
        contact.mod_revision = space.revision
        contact.etag = str(space.revision)
        space.put(
            keys.contact_key(user_id, contact.contact_id), contact.SerializeToString(deterministic=True), row
        )
        updated.append(contact)
    if created:
        user.contacts += created
        _put_user(space, user_id, user, user_row)
    return updated


def _set_fields(contact: contact_pb2.Contact, update: contact_pb2.ContactUpdate) -> None:
    for path in update.update_mask.paths or FIELDS:
        if path != "mute_until":
            setattr(contact, path, getattr(update.contact, path))
        elif update.contact.HasField("mute_until"):
            contact.mute_until.CopyFrom(update.contact.mute_until)
        else:
            contact.ClearField("mute_until")


def _move_change(space: UserSpace, user_id: str, contact: contact_pb2.Contact, row: bytes) -> None:
    """The last change of a contact, which is as it was before it, is of this revision."""
    if contact.mod_revision:
        space.delete(keys.contact_change_key(user_id, contact.mod_revision, contact.contact_id), _CHANGED)
    space.put(keys.contact_change_key(user_id, space.revision, contact.contact_id), row, None)


def _forget_deletion(space: UserSpace, user_id: str, contact_id: str) -> int:
    """Forgets that a contact was deleted: 1; 0: it is not remembered."""
    deletion_key = keys.contact_deletion_key(user_id, contact_id)
    row = space.get(deletion_key)
    if row is None:
        return 0
    (revision,) = _REVISION.unpack(row)
    space.delete(deletion_key, row)
    space.delete(keys.contact_change_key(user_id, revision, contact_id), _DELETED)
    return 1


def _oldest_deletion(state: StateReader, user_id: str, floor_revision: int) -> tuple[int, str]:
    """The revision and the contact of the oldest deletion that is remembered."""
    _, end = keys.of_user_range(user_id, b"d")
    start = keys.contact_change_key(user_id, floor_revision + 1, "")
    # What is passed over here is before the next floor: each row is, once in its life.
    row_key = next(row_key for row_key, row in state.scan(start, end) if row == _DELETED)
    return keys.revision_and_contact_of_row(row_key)


def _put_user(space: UserSpace, user_id: str, user: user_data_pb2.UserRow, previous: bytes) -> None:
    space.put(keys.user_key(user_id), user.SerializeToString(deterministic=True), previous)
