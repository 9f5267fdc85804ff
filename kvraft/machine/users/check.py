"""Looks at every row of user data, at one moment, for what breaks a law.

One pass in the order of the keys, in steps, so that whoever asks can breathe in between. A user's rows come
one after the other, so what a user counts is compared where they end. Only how many entries refer to each
shared body must be remembered to the end, since they are anybody's: about 200 bytes of memory for each body.

Each finding is one law that one row breaks. Rows that the engine cannot read as they were written are none of
these: they stop the node.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from kvraft.machine import leases
from kvraft.machine.users import audit, contacts, keys
from kvraft.machine.users.rows import find_device
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import contact_pb2, group_pb2, message_pb2, session_pb2, user_data_pb2

COUNTER_LAW = "COUNTER_LAW"
DANGLING_REFERENCE = "DANGLING_REFERENCE"
ORPHANED_BODY = "ORPHANED_BODY"
REFERENCE_COUNT = "REFERENCE_COUNT"
MISPLACED_INDEX = "MISPLACED_INDEX"
UNREADABLE_ROW = "UNREADABLE_ROW"

RowT = TypeVar("RowT", bound=Message)

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_SENT_ROW_MIN_BYTES = 8


class Finding(NamedTuple):
    """A broken law."""

    law: str
    subject: str
    """Where: a user, device, group."""
    detail: str


class StateCheck:
    """The check of one state, which must stay as it is: a view."""

    __slots__ = ("_references", "_rows", "_state", "checked_rows", "findings", "progress")

    def __init__(self, state: StateReader) -> None:
        self._state = state
        self._references: Counter[bytes] = Counter()
        """How many entries refer to the body of this row."""
        self._rows = self._check()
        self.checked_rows = 0
        self.progress = 0.0
        """How much of the whole that is, roughly: from 0 to 1."""
        self.findings: list[Finding] = []
        """What was found so far; may be emptied."""

    def step(self, rows_max: int) -> bool:
        """Looks at so many more rows. False: there were none left."""
        looked_at = list(islice(self._rows, rows_max))
        self.checked_rows += sum(looked_at)
        return bool(looked_at)

    # --- the pass: at each row, whether it is looked at now, or only later ------------------------

    def _check(self) -> Iterator[bool]:
        yield from self._lease_sessions()
        yield from self._owned()
        yield from self._bodies()
        yield from self._sent()
        yield from self._due()
        yield from self._audit()
        self.progress = 1.0

    def _lease_sessions(self) -> Iterator[bool]:
        for row_key, _ in self._state.scan(*keys.LEASE_SESSIONS):
            yield True
            lease_id = keys.lease_of_session_row(row_key)
            user_id, device_id = keys.session_of_lease_row(row_key)
            session = _read(session_pb2.Session, self._state.get(keys.session_key(user_id, device_id)))
            if session is None or session.lease_id != lease_id:
                self.found(
                    MISPLACED_INDEX,
                    f"lease {lease_id}",
                    f"it has a row for a session of user {user_id!r}, device {device_id!r}, that is not its",
                )

    def _owned(self) -> Iterator[bool]:
        """Users and groups, one after the other."""
        owner: _User | _Group | None = None
        prefix = b"\xff"
        for row_key, row in self._state.scan(*keys.USERS):
            is_body = keys.is_body_row(row_key)
            yield not is_body
            if is_body:
                continue  # at the end, when all references are known
            if not row_key.startswith(prefix):
                if owner is not None:
                    owner.finish()
                prefix = keys.owner_prefix(row_key)
                # The last tenth is for bodies and what follows.
                self.progress = 0.9 * keys.shard_of_row(row_key) / keys.SHARDS
                name = keys.user_of_row(row_key)
                owner = _User(self, name) if keys.is_of_user(row_key) else _Group(self, name)
            assert owner is not None
            try:
                owner.row(row_key[len(prefix) :], row)
            except (DecodeError, UnicodeDecodeError, struct.error) as error:
                self.found(UNREADABLE_ROW, owner.subject, f"row {row_key.hex()}: {error}")
        if owner is not None:
            owner.finish()

    def _bodies(self) -> Iterator[bool]:
        for shard in range(keys.SHARDS):
            for row_key, row in self._state.scan(*keys.bodies_of_shard(shard)):
                yield True
                body_key, is_count = keys.body_of_row(row_key)
                subject = _body_subject(body_key)
                if not is_count:
                    if self._state.get(keys.body_references_key(body_key)) is None:
                        self.found(REFERENCE_COUNT, subject, "its references are not counted")
                    try:
                        message_pb2.Message.FromString(row)
                    except DecodeError as error:
                        self.found(UNREADABLE_ROW, subject, str(error))
                    continue
                found = self._references.pop(body_key, 0)
                counted = _U32.unpack(row)[0] if len(row) == _U32.size else -1
                if not found:
                    self.found(ORPHANED_BODY, subject, f"no entry refers to it, and {counted} are counted")
                elif counted != found:
                    self.found(
                        REFERENCE_COUNT, subject, f"{found} entries refer to it, {counted} are counted"
                    )
        self.progress = 0.95
        for body_key, found in self._references.items():
            self.found(
                DANGLING_REFERENCE,
                _body_subject(body_key),
                f"{found} entries refer to it, and it is not there",
            )

    def _sent(self) -> Iterator[bool]:
        for row_key, row in self._state.scan(*keys.SENT):
            yield True
            try:
                message_pb2.SendMessageResponse.FromString(row[_SENT_ROW_MIN_BYTES:])
            except DecodeError as error:
                self.found(UNREADABLE_ROW, "memory for duplicates", f"row {row_key.hex()}: {error}")

    def _due(self) -> Iterator[bool]:
        for row_key, _ in self._state.scan(*keys.DUE):
            yield True
            user_id, device_id = keys.queue_of_due_row(row_key)
            queue = _read(user_data_pb2.QueueRow, self._state.get(keys.queue_key(user_id, device_id)))
            if queue is None or row_key != keys.due_key(queue.due_ms, user_id, device_id):
                self.found(
                    MISPLACED_INDEX,
                    _queue_subject(user_id, device_id),
                    "it is in the index of what is due at another time",
                )

    def _audit(self) -> Iterator[bool]:
        for row_key, row in self._state.scan(*keys.AUDIT):
            yield True
            try:
                audit.decode(row)
            except DecodeError as error:
                self.found(UNREADABLE_ROW, "audit entries", f"row {row_key.hex()}: {error}")

    # --- for what it consists of -------------------------------------------------------------------

    @property
    def state(self) -> StateReader:
        return self._state

    def owner(self, row_key: bytes, kind: type[RowT], subject: str) -> RowT | None:
        """The row that others lie behind; None, which is a finding: it is not there, or cannot be read."""
        row = self._state.get(row_key)
        if row is None:
            self.found(DANGLING_REFERENCE, subject, "there are rows of it, and it is not there")
            return None
        read = _read(kind, row)
        if read is None:
            self.found(UNREADABLE_ROW, subject, f"row {row_key.hex()} is no {kind.__name__}")
        return read

    def refers_to(self, body_owner: str, body_id: int) -> None:
        """An entry does."""
        self._references[keys.body_key(body_owner, body_id)] += 1

    def found(self, law: str, subject: str, detail: str) -> None:
        self.findings.append(Finding(law, subject, detail))


class _User:
    """The rows of one user."""

    def __init__(self, check: StateCheck, user_id: str) -> None:
        self.subject = f"user {user_id}"
        self._check = check
        self._user_id = user_id
        self._user = check.owner(keys.user_key(user_id), user_data_pb2.UserRow, self.subject)
        self._counts = Counter[str]()
        self._queue: _Queue | None = None

    def row(self, rest: bytes, row: bytes) -> None:
        """A row, whose key goes on with `rest`."""
        name = rest[1:]
        match rest[:1]:
            case b"":
                pass  # read at the beginning
            case b"b":
                contact_pb2.BlockedUser.FromString(row)
                self._counts["blocked"] += 1
            case b"c":
                self._contact(name.decode(), contact_pb2.Contact.FromString(row))
            case b"d":
                self._contact_change(name, row)
            case b"g":
                self._counts["groups"] += 1
                if self._check.state.get(keys.member_key(name.decode(), self._user_id)) is None:
                    self._dangling(f"is in group {name.decode()!r}, which does not know it")
            case b"s":
                self._session(name.decode(), session_pb2.Session.FromString(row))
            case b"q":
                self._of_queue(name, row)
            case _:
                self._check.found(UNREADABLE_ROW, self.subject, f"row {rest.hex()} is of no known kind")

    def finish(self) -> None:
        if self._queue is not None:
            self._queue.finish()
        if self._user is None:
            return
        user = self._user
        counted = {
            "contacts": user.contacts,
            "deleted_contacts": user.deleted_contacts,
            "blocked": user.blocked,
            "groups": user.groups,
        }
        for what, count in counted.items():
            if count != self._counts[what]:
                self._check.found(
                    COUNTER_LAW, self.subject, f"{what} is {count}, and there are {self._counts[what]}"
                )

    def _dangling(self, detail: str) -> None:
        self._check.found(DANGLING_REFERENCE, self.subject, detail)

    def _contact(self, contact_id: str, contact: contact_pb2.Contact) -> None:
        self._counts["contacts"] += 1
        change_key = keys.contact_change_key(self._user_id, contact.mod_revision, contact_id)
        if self._check.state.get(change_key) is None:
            self._check.found(
                MISPLACED_INDEX,
                self.subject,
                f"contact {contact_id!r} is not under revision {contact.mod_revision}",
            )

    def _contact_change(self, rest: bytes, row: bytes) -> None:
        (revision,) = _U64.unpack_from(rest)
        contact_id = rest[_U64.size :].decode()
        state, user_id = self._check.state, self._user_id
        if not revision:  # where a deletion is
            (revision,) = _U64.unpack(row)
            deletion = state.get(keys.contact_change_key(user_id, revision, contact_id))
            is_placed = deletion is not None and contacts.is_deletion(deletion)
        elif contacts.is_deletion(row):
            self._counts["deleted_contacts"] += 1
            is_placed = state.get(keys.contact_deletion_key(user_id, contact_id)) == _U64.pack(revision)
        else:
            contact = _read(contact_pb2.Contact, state.get(keys.contact_key(user_id, contact_id)))
            is_placed = contact is not None and contact.mod_revision == revision
        if not is_placed:
            self._check.found(
                MISPLACED_INDEX,
                self.subject,
                f"revision {revision} names contact {contact_id!r}, which is not of it",
            )

    def _session(self, device_id: str, session: session_pb2.Session) -> None:
        state = self._check.state
        if self._user is not None and find_device(self._user, device_id) is None:
            self._dangling(f"has a session of device {device_id!r}, which is not registered")
        if leases.find(state, session.lease_id) is None:
            self._dangling(f"the session of device {device_id!r} is of lease {session.lease_id}, which ended")
        elif state.get(keys.lease_session_key(session.lease_id, self._user_id, device_id)) is None:
            self._check.found(
                MISPLACED_INDEX,
                self.subject,
                f"the session of device {device_id!r} is not among those of lease {session.lease_id}",
            )

    def _of_queue(self, rest: bytes, row: bytes) -> None:
        name, _, behind = rest.partition(b"\x00")
        device_id = name.decode()
        if self._queue is None or self._queue.device_id != device_id:
            if self._queue is not None:
                self._queue.finish()
            if self._user is not None and find_device(self._user, device_id) is None:
                self._dangling(f"has a queue of device {device_id!r}, which is not registered")
            self._queue = _Queue(self._check, self._user_id, device_id)
        self._queue.row(behind, row)


class _Queue:
    """The rows of one queue."""

    def __init__(self, check: StateCheck, user_id: str, device_id: str) -> None:
        self.device_id = device_id
        self._check = check
        self._subject = _queue_subject(user_id, device_id)
        self._user_id = user_id
        self._key = keys.queue_key(user_id, device_id)
        self._queue = check.owner(self._key, user_data_pb2.QueueRow, self._subject)
        self._counts = Counter[str]()
        self._first_seq = 0
        self._due_ms: int | None = None
        """When the first of what is there is due."""

    def row(self, rest: bytes, row: bytes) -> None:
        name = rest[1:]
        match rest[:1]:
            case b"":
                pass  # read at the beginning
            case b"e":
                self._entry(_U64.unpack(name)[0], user_data_pb2.EntryRow.FromString(row))
            case b"k":
                self._names_entry("collapse key", _U64.unpack(row)[0])
            case b"l":
                self._counts["dead_letters"] += 1
                self._body(user_data_pb2.EntryRow.FromString(row))
            case b"t":
                self._names_entry("expiry", _U64.unpack_from(name, _U64.size)[0])
            case b"v":
                entry = user_data_pb2.EntryRow.FromString(row)
                self._counts["scheduled"] += 1
                self._counts["scheduled_bytes"] += entry.size_bytes
                self._due(_U64.unpack_from(name)[0])
                self._body(entry)
            case _:
                self._check.found(UNREADABLE_ROW, self._subject, f"row {rest.hex()} is of no known kind")

    def finish(self) -> None:
        row = self._queue
        if row is None:
            return
        for what in ("live", "live_bytes", "scheduled", "scheduled_bytes", "dead_letters"):
            if getattr(row, what) != self._counts[what]:
                self._counter(f"{what} is {getattr(row, what)}, and there are {self._counts[what]}")
        given = row.live + row.acked + row.expired + row.collapsed + row.dead + row.purged
        if row.next_seq - 1 != given:
            self._counter(f"{row.next_seq - 1} numbers were given, and {given} are accounted for")
        floor = self._first_seq - 1 if self._first_seq else row.next_seq - 1
        if row.ack_floor != floor:
            self._counter(f"ack_floor is {row.ack_floor}, and all up to {floor} are gone")
        if (
            row.due_ms
            and self._check.state.get(keys.due_key(row.due_ms, self._user_id, self.device_id)) is None
        ):
            self._misplaced(f"something is due at {row.due_ms}, and the index of what is due does not say so")
        if self._due_ms is not None and not 0 < row.due_ms <= self._due_ms:
            self._misplaced(f"something is due at {self._due_ms}, and the queue says {row.due_ms}")

    def _entry(self, seq: int, entry: user_data_pb2.EntryRow) -> None:
        self._counts["live"] += 1
        self._counts["live_bytes"] += entry.size_bytes
        self._first_seq = self._first_seq or seq
        if self._queue is not None and seq >= self._queue.next_seq:
            self._counter(f"message {seq} is there, and the next number is {self._queue.next_seq}")
        self._due(entry.expire_ms)
        self._body(entry)
        state = self._check.state
        if entry.collapse_key and state.get(
            keys.collapse_row_key(self._key, entry.collapse_key)
        ) != _U64.pack(seq):
            self._misplaced(f"message {seq} is not under its collapse key")
        if entry.own_expiry and state.get(keys.expiry_key(self._key, entry.expire_ms, seq)) is None:
            self._misplaced(f"message {seq} is not under its expiry")

    def _body(self, entry: user_data_pb2.EntryRow) -> None:
        if entry.body_id:
            self._check.refers_to(entry.body_owner, entry.body_id)

    def _names_entry(self, what: str, seq: int) -> None:
        if self._check.state.get(keys.entry_key(self._key, seq)) is None:
            self._misplaced(f"a row by {what} names message {seq}, which is not there")

    def _due(self, due_ms: int) -> None:
        self._due_ms = due_ms if self._due_ms is None else min(self._due_ms, due_ms)

    def _counter(self, detail: str) -> None:
        self._check.found(COUNTER_LAW, self._subject, detail)

    def _misplaced(self, detail: str) -> None:
        self._check.found(MISPLACED_INDEX, self._subject, detail)


class _Group:
    """The rows of one group."""

    def __init__(self, check: StateCheck, group_id: str) -> None:
        self.subject = f"group {group_id}"
        self._check = check
        self._group_id = group_id
        self._group = check.owner(keys.group_key(group_id), group_pb2.Group, self.subject)
        self._members = self._owners = 0

    def row(self, rest: bytes, row: bytes) -> None:
        match rest[:1]:
            case b"":
                pass  # read at the beginning
            case b"m":
                user_id = rest[1:].decode()
                member = group_pb2.GroupMember.FromString(row)
                self._members += 1
                self._owners += member.role == group_pb2.GROUP_ROLE_OWNER
                if self._check.state.get(keys.user_group_key(user_id, self._group_id)) is None:
                    self._check.found(
                        DANGLING_REFERENCE, self.subject, f"its member {user_id!r} does not know of it"
                    )
            case _:
                self._check.found(UNREADABLE_ROW, self.subject, f"row {rest.hex()} is of no known kind")

    def finish(self) -> None:
        if self._group is None:
            return
        if self._group.member_count != self._members:
            self._check.found(
                COUNTER_LAW,
                self.subject,
                f"member_count is {self._group.member_count}, and there are {self._members}",
            )
        if not self._owners:
            self._check.found(COUNTER_LAW, self.subject, "it has no owner")


def _read(kind: type[RowT], row: bytes | None) -> RowT | None:
    """None: it is not there, or cannot be read."""
    try:
        return None if row is None else kind.FromString(row)
    except DecodeError:
        return None


def _queue_subject(user_id: str, device_id: str) -> str:
    return f"user {user_id}, device {device_id}"


def _body_subject(body_key: bytes) -> str:
    return f"body {_U64.unpack_from(body_key, len(body_key) - _U64.size)[0]} of {keys.user_of_row(body_key)}"
