"""A user as lines of JSON: every row of the user, in protobuf's JSON mapping, each under its `kind`.

Numbers of 64 bits are therefore strings, bytes are base64, times are RFC 3339, and what is zero or empty is
left out. The last line is of kind `end`, and counts the others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kvraft.machine.users import blocks, contacts, groups, keys, queues, sessions
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import user_data_pb2

Line = tuple[str, dict[str, Any]]
"""Kind and fields."""


def export_lines(state: StateReader, user_id: str, user: user_data_pb2.UserRow) -> Iterator[bytes]:
    """The export of a user, whose row is `user`, line by line. Of a state that stays as it is: a view."""
    counts = Counter[str]()
    for kind, fields in _items(state, user_id, user):
        counts[kind] += 1
        yield _line(kind, fields)
    yield _line("end", {"counts": dict(counts)})


def _items(state: StateReader, user_id: str, user: user_data_pb2.UserRow) -> Iterator[Line]:
    yield "user", _user(user_id, user)
    for device in user.devices:
        yield "device", _fields(device)
    for session in sessions.of_user(state, user_id):
        yield "session", _fields(session)
    for contact in contacts.scan(state, user_id):
        yield "contact", _fields(contact)
    yield from _deleted_contacts(state, user_id)
    for blocked in blocks.scan(state, user_id):
        yield "blocked", _fields(blocked)
    for group_id in groups.of_user(state, user_id):
        group, member = groups.find(state, group_id), groups.member(state, group_id, user_id)
        yield (
            "group",
            {
                "group_id": group_id,
                "title": "" if group is None else group.title,
                **({} if member is None else _fields(member)),
            },
        )
    for device in user.devices:
        yield from _queue(state, user_id, device.device_id)


def _user(user_id: str, user: user_data_pb2.UserRow) -> dict[str, Any]:
    fields = {"user_id": user_id, "device_set_revision": str(user.device_set_revision)}
    if user.revoke_time_ms:
        fields["revoke_time"] = _time(user.revoke_time_ms)
    if user.last_seen_day_ms:
        fields["last_seen_day"] = _time(user.last_seen_day_ms)
    return fields


def _deleted_contacts(state: StateReader, user_id: str) -> Iterator[Line]:
    """Deletions that are remembered for devices that have not heard of them."""
    for row_key, row in state.scan(*keys.of_user_range(user_id, b"d")):
        if contacts.is_deletion(row):
            revision, contact_id = keys.revision_and_contact_of_row(row_key)
            yield "deleted_contact", {"contact_id": contact_id, "revision": str(revision)}


def _queue(state: StateReader, user_id: str, device_id: str) -> Iterator[Line]:
    queue = keys.queue_key(user_id, device_id)
    row = state.get(queue)
    if row is None:
        return
    yield "queue", {"device_id": device_id, **_fields(user_data_pb2.QueueRow.FromString(row))}
    for row_key, each in state.scan(*keys.entry_range(queue, 0)):
        yield "message", {"seq": str(keys.seq_of_row(row_key)), **_entry(state, device_id, each)}
    for row_key, each in state.scan(*keys.scheduled_range(queue)):
        due_time = _time(keys.due_of_scheduled(row_key))
        yield "scheduled", {"deliver_time": due_time, **_entry(state, device_id, each)}
    for row_key, each in state.scan(*keys.dead_letter_range(queue)):
        yield "dead_letter", {"seq": str(keys.seq_of_row(row_key)), **_entry(state, device_id, each)}


def _entry(state: StateReader, device_id: str, row: bytes) -> dict[str, Any]:
    entry = user_data_pb2.EntryRow.FromString(row)
    fields: dict[str, Any] = {
        "device_id": device_id,
        "accept_time": _time(entry.accept_ms),
        "expire_time": _time(entry.expire_ms),
        "message": _fields(queues.message_of(state, entry)),
    }
    if entry.dead_ms:
        fields |= {"dead_time": _time(entry.dead_ms), "reason": entry.reason, "attempts": entry.attempts}
    return fields


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _time(time_ms: int) -> str:
    timestamp = Timestamp()
    timestamp.FromMilliseconds(time_ms)
    return timestamp.ToJsonString()


def _line(kind: str, fields: dict[str, Any]) -> bytes:
    return json.dumps({"kind": kind, **fields}, ensure_ascii=False).encode() + b"\n"
