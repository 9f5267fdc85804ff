"""Where each row of user data lies. S is a 2-byte virtual shard, `shard(owner)`; numbers are big-endian.

    02 04 <lease> <user> 00 <device>            the sessions of a lease

    04 <S> 01 <user> 00                         a user, with their devices
    04 <S> 01 <user> 00 b <other>               whom they have blocked
    04 <S> 01 <user> 00 c <contact>             their contacts
    04 <S> 01 <user> 00 d <revision> <contact>  their contacts by the revision that changed or deleted them
    04 <S> 01 <user> 00 d <0> <contact>         the revision of a deletion
    04 <S> 01 <user> 00 g <group>               the groups they are in
    04 <S> 01 <user> 00 q <device> 00           a queue; behind it
                                    e <seq>                 its messages
                                    k <collapse key>        the message that has this key
                                    l <seq>                 its dead letters
                                    t <expiry> <seq>        its messages that do not live the default time
                                    v <due> <revision>      its scheduled messages
    04 <S> 01 <user> 00 s <device>              their sessions
    04 <S> 02 <group> 00                        a group
    04 <S> 02 <group> 00 m <user>               its members
    04 <S> 03 <owner> 00 <body id>              a body that queues share
    04 <S> 03 <owner> 00 <body id> r            how many do
    05 <generation 4> <S> <digest 16>           what was sent to a user or group: the memory for duplicates
    06 <due> <user> 00 <device>                 queues by the time when something in them is due
    07 <revision>                               audit entries

Ids are UTF-8 without control characters, so a zero byte ends them and their order is that of the rows.
Everything of a user is one contiguous range, and so is everything of a shard but the spaces 05 (one range per
generation) and 06 (made again from the queues).
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from hashlib import blake2b

from kvraft.machine.keys import prefix_end

SHARDS = 1024

_LEASE_SESSION = b"\x02\x04"
_OWNED = b"\x04"
_USER, _GROUP, _BODY = b"\x01", b"\x02", b"\x03"
_SENT = b"\x05"
_DUE = b"\x06"
_AUDIT = b"\x07"
_END = b"\x00"
_U64 = struct.Struct(">Q")
_DUE_AT = struct.Struct(">QQ")
_GENERATION = struct.Struct(">I")
_SHARD = struct.Struct(">H")

NO_ROW = b""
"""What is in a row that only says, by being there, when something is due."""

USERS_END = _SENT
"""Where the rows of all users, groups and bodies end."""

USERS = (_OWNED, _SENT)
"""The rows of all users, groups and bodies."""


def shard(owner: str) -> int:
    """The virtual shard of a user or group."""
    return zlib.crc32(owner.encode()) % SHARDS


@lru_cache(maxsize=8192)  # of who is written to now: each message looks at several rows of one user
def _owned(kind: bytes, owner: str) -> bytes:
    name = owner.encode()
    return _OWNED + _SHARD.pack(zlib.crc32(name) % SHARDS) + kind + name + _END


def user_key(user_id: str) -> bytes:
    """The row of a user; the prefix of everything that is the user's."""
    return _owned(_USER, user_id)


def is_user_row(row_key: bytes) -> bool:
    """Whether it is the row of a user itself, not one behind it."""
    return row_key[3:4] == _USER and row_key.index(_END, 4) == len(row_key) - 1


def user_of_row(row_key: bytes) -> str:
    """Whose row this is, of all the rows of users."""
    return row_key[4 : row_key.index(_END, 4)].decode()


def next_user(after: str) -> bytes:
    """Where the rows of the next user begin at the earliest."""
    return prefix_end(user_key(after))


def first_user(shard: int) -> bytes:
    """Where the rows of the users of a shard begin."""
    return _OWNED + _SHARD.pack(shard) + _USER


def is_of_user(row_key: bytes) -> bool:
    """Whether a row of users, groups and bodies is a user's."""
    return row_key[3:4] == _USER


def is_body_row(row_key: bytes) -> bool:
    """Whether it is that of a shared body."""
    return row_key[3:4] == _BODY


def owner_prefix(row_key: bytes) -> bytes:
    """What the keys of all rows of the same user, or group, begin with."""
    return row_key[: row_key.index(_END, 4) + 1]


def bodies_of_shard(shard: int) -> tuple[bytes, bytes]:
    """The rows of the shared bodies of all owners of a shard."""
    prefix = _OWNED + _SHARD.pack(shard) + _BODY
    return prefix, prefix_end(prefix)


def body_of_row(row_key: bytes) -> tuple[bytes, bool]:
    """The row of the body, and whether this is the one that counts who shares it."""
    end = row_key.index(_END, 4) + 1 + _U64.size
    return row_key[:end], len(row_key) > end


def shard_of_row(row_key: bytes) -> int:
    """The shard of the row of a user, group or body."""
    return int(_SHARD.unpack_from(row_key, 1)[0])


def user_range(user_id: str) -> tuple[bytes, bytes]:
    """Everything of a user."""
    prefix = user_key(user_id)
    return prefix, prefix_end(prefix)


def blocked_key(user_id: str, other: str) -> bytes:
    return user_key(user_id) + b"b" + other.encode()


def contact_key(user_id: str, contact_id: str) -> bytes:
    return user_key(user_id) + b"c" + contact_id.encode()


def contact_change_key(user_id: str, revision: int, contact_id: str) -> bytes:
    return user_key(user_id) + b"d" + _U64.pack(revision) + contact_id.encode()


def contact_deletion_key(user_id: str, contact_id: str) -> bytes:
    """Before all changes: there is no revision 0 that changes something."""
    return contact_change_key(user_id, 0, contact_id)


def revision_and_contact_of_row(row_key: bytes) -> tuple[int, str]:
    """Of the row of a contact by the revision that changed it."""
    number = row_key.index(_END, 4) + 2
    return int(_U64.unpack_from(row_key, number)[0]), row_key[number + _U64.size :].decode()


def user_group_key(user_id: str, group_id: str) -> bytes:
    return user_key(user_id) + b"g" + group_id.encode()


def session_key(user_id: str, device_id: str) -> bytes:
    return user_key(user_id) + b"s" + device_id.encode()


def of_user_range(user_id: str, tag: bytes) -> tuple[bytes, bytes]:
    """The rows of a user with this tag: b, c, d, g, q or s."""
    prefix = user_key(user_id) + tag
    return prefix, prefix_end(prefix)


def last_part(row_key: bytes, prefix: bytes) -> str:
    """The id at the end of a row whose key begins with `prefix`."""
    return row_key[len(prefix) :].decode()


def queue_key(user_id: str, device_id: str) -> bytes:
    """The row of a queue; the prefix of everything that is in it."""
    return user_key(user_id) + b"q" + device_id.encode() + _END


def entry_key(queue: bytes, seq: int) -> bytes:
    """A message of the queue whose row is `queue`."""
    return queue + b"e" + _U64.pack(seq)


def entry_range(queue: bytes, first: int, after: int | None = None) -> tuple[bytes, bytes]:
    """The messages from `first` up to and without `after` (None: to the last)."""
    return entry_key(queue, first), queue + b"f" if after is None else entry_key(queue, after)


def dead_letter_key(queue: bytes, seq: int) -> bytes:
    return queue + b"l" + _U64.pack(seq)


def dead_letter_range(queue: bytes, first: int = 0) -> tuple[bytes, bytes]:
    """The dead letters from `first` on."""
    return dead_letter_key(queue, first), queue + b"m"


def seq_of_row(row_key: bytes) -> int:
    """The number at the end of the row of a message or dead letter."""
    return int(_U64.unpack_from(row_key, len(row_key) - 8)[0])


def collapse_row_key(queue: bytes, collapse_key: str) -> bytes:
    return queue + b"k" + collapse_key.encode()


def scheduled_key(queue: bytes, due_ms: int, revision: int) -> bytes:
    return queue + b"v" + _DUE_AT.pack(due_ms, revision)


def scheduled_range(queue: bytes, until_ms: int | None = None) -> tuple[bytes, bytes]:
    """The scheduled messages that are due at or before `until_ms` (None: all)."""
    return queue + b"v", queue + (b"w" if until_ms is None else b"v" + _U64.pack(until_ms + 1))


def due_of_scheduled(row_key: bytes) -> int:
    """When a scheduled message is due."""
    return int(_DUE_AT.unpack_from(row_key, len(row_key) - _DUE_AT.size)[0])


def expiry_key(queue: bytes, expire_ms: int, seq: int) -> bytes:
    """The row that finds a message that does not live the default time."""
    return queue + b"t" + _DUE_AT.pack(expire_ms, seq)


def expiry_range(queue: bytes, until_ms: int | None = None) -> tuple[bytes, bytes]:
    """The rows of messages that expire at or before `until_ms` (None: all)."""
    return queue + b"t", queue + (b"u" if until_ms is None else b"t" + _U64.pack(until_ms + 1))


def expiry_of_row(row_key: bytes) -> tuple[int, int]:
    """When which message expires: time, seq."""
    expire_ms, seq = _DUE_AT.unpack_from(row_key, len(row_key) - _DUE_AT.size)
    return expire_ms, seq


def group_key(group_id: str) -> bytes:
    """The row of a group; the prefix of its members."""
    return _owned(_GROUP, group_id)


def member_key(group_id: str, user_id: str) -> bytes:
    return group_key(group_id) + b"m" + user_id.encode()


def member_range(group_id: str, after: str = "") -> tuple[bytes, bytes]:
    """The members of a group whose ids are greater than `after`."""
    prefix = group_key(group_id)
    return prefix + b"m" + after.encode() + (_END if after else b""), prefix + b"n"


def body_key(owner: str, body_id: int) -> bytes:
    return _owned(_BODY, owner) + _U64.pack(body_id)


def body_references_key(body: bytes) -> bytes:
    """The row that counts who shares the body whose row is `body`."""
    return body + b"r"


def sent_keys(generation: int, destination: str, sender_id: str, message_id: str) -> tuple[bytes, bytes]:
    """Of a message in this generation and in the one before (in the first one, the same). `destination` is a
    user or group with its kind. A digest, so that no id outlives its user in here, and rows are short."""
    name = destination.encode()
    digest = blake2b(b"%b\0%b\0%b" % (name, sender_id.encode(), message_id.encode()), digest_size=16)
    row_end = _SHARD.pack(zlib.crc32(name) % SHARDS) + digest.digest()
    before = max(0, generation - 1)
    return _SENT + _GENERATION.pack(generation) + row_end, _SENT + _GENERATION.pack(before) + row_end


def sent_before(generation: int) -> tuple[bytes, bytes]:
    """The memory of all generations before this one."""
    return _SENT, _SENT + _GENERATION.pack(generation)


def due_key(due_ms: int, user_id: str, device_id: str) -> bytes:
    return _DUE + _U64.pack(due_ms) + user_id.encode() + _END + device_id.encode()


def due_range(until_ms: int) -> tuple[bytes, bytes]:
    """The queues in which something is due at or before `until_ms`."""
    return _DUE, _DUE + _U64.pack(until_ms + 1)


DUE = (_DUE, prefix_end(_DUE))
"""The index of what is due."""

SENT = (_SENT, prefix_end(_SENT))
"""The memory for duplicates."""


def queue_of_due_row(row_key: bytes) -> tuple[str, str]:
    """User and device."""
    user_id, _, device_id = row_key[1 + _U64.size :].partition(_END)
    return user_id.decode(), device_id.decode()


def lease_session_key(lease_id: int, user_id: str, device_id: str) -> bytes:
    return _LEASE_SESSION + _U64.pack(lease_id) + user_id.encode() + _END + device_id.encode()


def lease_session_range(lease_id: int) -> tuple[bytes, bytes]:
    """The sessions of a lease."""
    prefix = _LEASE_SESSION + _U64.pack(lease_id)
    return prefix, prefix_end(prefix)


LEASE_SESSIONS = (_LEASE_SESSION, prefix_end(_LEASE_SESSION))
"""The sessions of all leases."""


def lease_of_session_row(row_key: bytes) -> int:
    """The lease."""
    return int(_U64.unpack_from(row_key, len(_LEASE_SESSION))[0])


def session_of_lease_row(row_key: bytes) -> tuple[str, str]:
    """User and device."""
    user_id, _, device_id = row_key[len(_LEASE_SESSION) + _U64.size :].partition(_END)
    return user_id.decode(), device_id.decode()


def audit_key(revision: int) -> bytes:
    return _AUDIT + _U64.pack(revision)


AUDIT = (_AUDIT, prefix_end(_AUDIT))
"""The rows of all audit entries."""
