"""Bodies of messages that several queues share, so that a message to a group is stored once.

A body is written once and never again: how many queues share it is a small row beside it, which changes with
each of them that lets go of it. With the last one both rows are gone.
"""

from __future__ import annotations

import struct

from kvraft.machine.users import keys
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import message_pb2

_REFERENCES = struct.Struct(">I")


def add(space: UserSpace, owner: str, message: message_pb2.Message, references: int) -> int:
    """Writes a body that so many entries refer to; its id."""
    body_id = space.new_body_id()
    body_key = keys.body_key(owner, body_id)
    space.put(body_key, message.SerializeToString(deterministic=True), None)
    space.put(keys.body_references_key(body_key), _REFERENCES.pack(references), None)
    return body_id


def read(state: StateReader, owner: str, body_id: int) -> message_pb2.Message:
    """The body; there are references to it."""
    row = state.get(keys.body_key(owner, body_id))
    assert row is not None, f"an entry refers to body {body_id}, which is not there"
    return message_pb2.Message.FromString(row)


def release(space: UserSpace, owner: str, body_id: int) -> None:
    """One reference less."""
    body_key = keys.body_key(owner, body_id)
    references_key = keys.body_references_key(body_key)
    row = space.get(references_key)
    assert row is not None, f"an entry refers to body {body_id}, which is not there"
    (references,) = _REFERENCES.unpack(row)
    if references > 1:
        space.put(references_key, _REFERENCES.pack(references - 1), row)
        return
    body = space.get(body_key)
    assert body is not None, f"body {body_id} is counted, but not there"
    space.delete(body_key, body)
    space.delete(references_key, row)
