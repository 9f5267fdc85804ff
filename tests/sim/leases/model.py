"""The log, applied to dictionaries: a second machine of leases and keys, much simpler than the real one.

Rules of time: the clock is the highest stamp of any entry so far. A renewal lets a lease live its full time
from the clock on. Only an entry of expiry ends leases that are past their time; it does nothing in another
term than its own, and nothing to a lease that is not past its time by then.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kvraft.machine import kv
from kvraft.machine.machine import Machine
from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    Answer,
    CompareAndSetResult,
    DeleteResult,
    Failed,
    FailureReason,
    GrantLeaseResult,
    PutResult,
    RegisterClientResult,
    RenewLeasesResult,
    Result,
    RevokeLeaseResult,
    TxnOperationResult,
    TxnResult,
)
from kvraft.raft.types import Entry, EntryKind, Index
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import operation_number
from tests.sim.history import Change, Outcome, Violation
from tests.sim.leases.story import Ask

_NUMBER = struct.Struct(">Q")
_LEASE_ROW = struct.Struct(">QQQ")


@dataclass(slots=True)
class Lease:
    """A lease. The end of one with many keys takes several entries; from the first of them on it is
    `is_ending`, and nobody but its end sees it."""

    ttl_ms: int
    expires_ms: int
    create_revision: int
    is_ending: bool = False


@dataclass(slots=True)
class Model:
    """What there is after the entries that were applied."""

    keys_at_once: int
    """How many keys end in one entry."""
    clock_ms: int = 0
    revision: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)
    keys: dict[bytes, KvRecord] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    """What each command should have been answered, by the number it is marked with."""
    changes: dict[int, list[Change]] = field(default_factory=dict)
    """What each revision has changed, in order."""
    events: Counter[str] = field(default_factory=Counter)
    _numbered: dict[tuple[int, int], Answer] = field(default_factory=dict)
    """The answers to registered clients, by client and sequence."""
    _changed: list[Change] = field(default_factory=list)
    """By the command that is being applied."""

    def apply_all(self, journal: Mapping[Index, Entry]) -> None:
        """Raises Violation if an entry is missing, or if a command was applied twice."""
        for index in range(1, len(journal) + 1):
            if Index(index) not in journal:
                raise Violation(f"entry {index} of {len(journal)} was never applied")
            entry = journal[Index(index)]
            if entry.kind is not EntryKind.COMMAND:
                continue
            batch = command_pb2.CommandBatch.FromString(entry.data)
            if batch.time_ms < self.clock_ms:
                self.events["stamp behind the clock"] += 1
            self.clock_ms = max(self.clock_ms, batch.time_ms)
            for group in batch.groups:
                for data in group.commands:
                    self._apply(data, entry.term)

    def _apply(self, data: bytes, term: int) -> None:
        command = command_pb2.Command.FromString(data)
        if command.HasField("expire"):
            self._expire(command.expire, term)
            return
        number = operation_number(data)
        if command.client_id:
            request_id = command.client_id, command.sequence
            if request_id not in self._numbered:
                self._numbered[request_id] = self._execute(command)
            self.answers.setdefault(number, self._numbered[request_id])
        elif number in self.answers:
            raise Violation(f"applied twice: #{number}, {command}")
        else:
            self.answers[number] = self._execute(command)

    def _execute(self, command: command_pb2.Command) -> Answer:
        result, has_changed = self._result(command)
        self._close_revision(has_changed=has_changed)
        return Answer(self.revision, result)

    def _close_revision(self, *, has_changed: bool) -> None:
        if has_changed or self._changed:
            self.revision += 1
        if self._changed:
            self.changes[self.revision] = self._changed
            self._changed = []

    def _result(self, command: command_pb2.Command) -> tuple[Result, bool]:
        """The answer, and whether there is a new revision although no key changes."""
        match command.WhichOneof("command"):
            case "put":
                return self._put(command.put), False
            case "delete":
                return self._delete(command.delete), False
            case "compare_and_set":
                return self._compare_and_set(command.compare_and_set), False
            case "txn":
                return self._txn(command.txn), False
            case "register_client":
                return RegisterClientResult(self.revision + 1), True
            case "grant_lease":
                return self._grant(command.grant_lease)
            case "renew_leases":
                return RenewLeasesResult(tuple(map(self._renew, command.renew_leases.lease_ids))), False
            case "revoke_lease":
                return self._revoke(command.revoke_lease.lease_id)
            case kind:
                raise AssertionError(f"owners do not ask for {kind}")

    # --- keys ---------------------------------------------------------------------------------

    def _put(self, command: command_pb2.PutCommand) -> PutResult | Failed:
        if not self._may_attach(command.lease_id):
            return Failed(FailureReason.LEASE_NOT_FOUND, command.lease_id)
        previous = self._write(command.key, command.value, command.lease_id)
        return PutResult(previous if command.return_previous else None)

    def _delete(self, command: command_pb2.DeleteCommand) -> DeleteResult:
        previous = self._write(command.key, None, 0)
        return DeleteResult(previous is not None, previous if command.return_previous else None)

    def _compare_and_set(self, command: command_pb2.CompareAndSetCommand) -> CompareAndSetResult | Failed:
        current = self.keys.get(command.key)
        if (current.mod_revision if current else 0) != command.expected_revision:
            return CompareAndSetResult(False, current)
        if not self._may_attach(command.lease_id):
            return Failed(FailureReason.LEASE_NOT_FOUND, command.lease_id)
        self._write(command.key, command.value, command.lease_id)
        return CompareAndSetResult(True, None)

    def _txn(self, command: command_pb2.TxnCommand) -> TxnResult | Failed:
        """Compares the leases of keys, and does nothing at all if one of its puts is refused."""
        for compare in command.compares:
            record = self.keys.get(compare.start)
            if (record.lease_id if record else 0) != compare.lease_id:
                return TxnResult(False, ())
        before = dict(self.keys)
        results: list[TxnOperationResult] = []
        for operation in command.success:
            result = self._put(operation.put) if operation.HasField("put") else self._delete(operation.delete)
            if isinstance(result, Failed):
                self.keys, self._changed = before, []
                return result
            results.append(result)
        return TxnResult(True, tuple(results))

    def _write(self, key: bytes, value: bytes | None, lease_id: int) -> KvRecord | None:
        """Makes a key hold a value (None: nothing); what it held before."""
        previous = self.keys.pop(key, None)
        record = None
        if value is not None:
            revision = self.revision + 1
            created, version = (previous.create_revision, previous.version + 1) if previous else (revision, 1)
            record = self.keys[key] = KvRecord(value, created, revision, version, lease_id)
        if record is not None or previous is not None:
            self._changed.append(Change(key, record, previous))
        return previous

    def _may_attach(self, lease_id: int) -> bool:
        return not lease_id or self._living(lease_id) is not None

    # --- leases -------------------------------------------------------------------------------

    def _living(self, lease_id: int) -> Lease | None:
        lease = self.leases.get(lease_id)
        return None if lease is None or lease.is_ending else lease

    def _grant(self, command: command_pb2.GrantLeaseCommand) -> tuple[GrantLeaseResult | Failed, bool]:
        lease_id = command.lease_id
        if lease_id in self.leases:
            return Failed(FailureReason.LEASE_EXISTS, lease_id), False
        if not lease_id:
            lease_id = self.revision + 1
            while lease_id in self.leases:
                lease_id += 1
        self.leases[lease_id] = Lease(command.ttl_ms, self.clock_ms + command.ttl_ms, self.revision + 1)
        return GrantLeaseResult(lease_id, command.ttl_ms), True

    def _renew(self, lease_id: int) -> int:
        lease = self._living(lease_id)
        if lease is None:
            return 0
        if lease.expires_ms <= self.clock_ms:
            self.events["lease renewed past its time"] += 1
        lease.expires_ms = self.clock_ms + lease.ttl_ms
        return lease.ttl_ms

    def _revoke(self, lease_id: int) -> tuple[RevokeLeaseResult | Failed, bool]:
        if self._living(lease_id) is None:
            return Failed(FailureReason.LEASE_NOT_FOUND, lease_id), False
        return RevokeLeaseResult(self._end(lease_id)), True

    def _expire(self, command: command_pb2.ExpireCommand, term: int) -> None:
        assert not command.client_ids, "nobody is idle for an hour"
        assert not command.user_data, "there are no users"
        if command.term != term:
            self.events["expiry of another term"] += 1
            return
        has_ended = False
        room = self.keys_at_once
        for lease_id in command.lease_ids:
            lease = self.leases.get(lease_id)
            if lease is None or not (lease.is_ending or lease.expires_ms <= self.clock_ms):
                self.events["expiry of a lease that was renewed or gone"] += 1
                continue
            size = min(len(self._attached(lease_id)), self.keys_at_once + 1)
            if has_ended and size > room:
                break  # those that are left have to wait for the next entry
            self._end(lease_id)
            room = max(0, room - size)
            has_ended = True
        self._close_revision(has_changed=has_ended)

    def _end(self, lease_id: int) -> int:
        """Deletes a lease with its keys, or the first of them. How many they were."""
        doomed = self._attached(lease_id)
        for key in doomed[: self.keys_at_once]:
            self._write(key, None, 0)
        if len(doomed) > self.keys_at_once:
            self.leases[lease_id].is_ending = True
            self.events["lease ended in steps"] += 1
            return self.keys_at_once
        del self.leases[lease_id]
        self.events["lease ended"] += 1
        return len(doomed)

    def _attached(self, lease_id: int) -> list[bytes]:
        return sorted(key for key, record in self.keys.items() if record.lease_id == lease_id)

    # --- checks -------------------------------------------------------------------------------

    def check_answers(self, asks: Mapping[int, Ask]) -> None:
        """Raises Violation for the first answer that the log contradicts."""
        for ask in asks.values():
            due = self.answers.get(ask.number)
            if ask.outcome is Outcome.NOT_APPLIED and due is not None:
                raise Violation(f"applied all the same: {ask}")
            if ask.outcome is Outcome.DONE and ask.answer != due:
                raise Violation(f"{due} was due: {ask}")

    def check_state(self, node: str, state: StateReader, machine: Machine) -> None:
        """Raises Violation if a node ends with anything else."""
        found = (machine.clock_ms, machine.revision)
        if found != (self.clock_ms, self.revision):
            raise Violation(
                f"{node} has (clock, revision) {found}, the log says {(self.clock_ms, self.revision)}"
            )
        if (keys := dict(kv.scan(state, b"", b""))) != self.keys:
            raise Violation(f"{node} holds {keys}, the log says {self.keys}")
        if (rows := dict(state.scan(b"\x02", b"\x03"))) != (due := dict(self._rows())):
            raise Violation(f"{node} has the lease rows {rows}, the log says {due}")

    def _rows(self) -> Iterator[tuple[bytes, bytes]]:
        """The rows of leases, as `kvraft.machine.keys` lays them out: each lease by its id and by the time of
        its end, and the keys attached to it."""
        for lease_id, lease in self.leases.items():
            name = _NUMBER.pack(lease_id)
            expires_ms = 0 if lease.is_ending else lease.expires_ms
            yield b"\x02\x01" + name, _LEASE_ROW.pack(lease.ttl_ms, expires_ms, lease.create_revision)
            yield b"\x02\x02" + _NUMBER.pack(expires_ms) + name, b""
        for key, record in self.keys.items():
            if record.lease_id:
                yield b"\x02\x03" + _NUMBER.pack(record.lease_id) + key, b""
