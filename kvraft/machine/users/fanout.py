"""One message on its way into queues: where its body lies, and what each queue holds of it."""

from __future__ import annotations

from collections.abc import Sequence

from kvraft.machine.users import bodies
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import message_pb2, user_data_pb2

DEFAULT_LIFE_MS = 30 * 24 * 60 * 60 * 1000
"""How long a message lives in a queue if its sender does not say."""


def enqueue(
    space: UserSpace,
    message: message_pb2.Message,
    into: Sequence[OpenQueue],
    *,
    size_bytes: int,
    expire_ms: int = 0,
    due_ms: int = 0,
    collapse_key: str = "",
) -> list[int]:
    """Puts a message into queues that have room, at least one, and closes them; its number in each, or 0 if
    it waits until `due_ms`. `expire_ms` 0: it lives the default time. The message is stored inside the entry
    of a single queue, and once beside the entries of several."""
    entry = user_data_pb2.EntryRow()  # by fields: half the time of keywords, for every message on every node
    entry.size_bytes, entry.expire_ms = size_bytes, expire_ms
    entry.accept_ms, entry.revision = space.clock_ms, space.revision
    if collapse_key:
        entry.collapse_key = collapse_key
    if message.request_receipt:
        entry.request_receipt = True
    if not due_ms:
        give_life(entry, space.clock_ms)
    if len(into) == 1:
        entry.message.CopyFrom(message)
    else:
        entry.body_owner = message.group_id or message.user_id
        entry.body_id = bodies.add(space, entry.body_owner, message, len(into))
    encoded = entry.SerializeToString(deterministic=True)
    seqs = []
    for queue in into:
        if due_ms:
            queue.schedule(entry, encoded, due_ms)
            seqs.append(0)
        else:
            seqs.append(queue.append(entry, encoded))
        queue.close()
    return seqs


def give_life(entry: user_data_pb2.EntryRow, clock_ms: int) -> None:
    """Sets when an entry expires that is queued now. The entries of a queue that live the default time expire
    in their order, because replicated time does not go back."""
    default_ms = clock_ms + DEFAULT_LIFE_MS
    expire_ms = entry.expire_ms
    if not expire_ms:
        entry.expire_ms = default_ms
    entry.own_expiry = expire_ms not in (0, default_ms)
