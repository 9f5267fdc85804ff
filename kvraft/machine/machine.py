"""Applies Raft entries: batches of commands, under the leader's clock, each with its revision.

The machine's own memory is one row (`keys.MACHINE`), written once an entry, in the same
transaction as everything the entry changed: a state is never without its revision.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from kvraft.machine import keys, kv, lease_commands
from kvraft.machine.clients import Clients
from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.results import (
    Answer,
    DoneResult,
    Failed,
    FailureReason,
    ListResult,
    RegisterClientResult,
    Result,
)
from kvraft.machine.space import KvSpace
from kvraft.machine.txn import txn
from kvraft.machine.users import commands as user_data
from kvraft.machine.users import due
from kvraft.machine.users.space import Touched, UserSpace
from kvraft.storage.interfaces import Change, StateReader, StateTransaction
from kvraft.v1 import command_pb2

BATCH_VERSION = 1
"""The format of `CommandBatch` this machine applies."""
TIME_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, of which a Timestamp knows no more: a stamp beyond it counts as this one."""

# format version, revision, clock
_MEMORY = struct.Struct(">BQQ")
_MEMORY_VERSION = 1


@dataclass(frozen=True, slots=True)
class AppliedGroup:
    """The answers to one group of commands, in their order."""

    origin_id: int
    group_id: int
    answers: list[Answer]


def read_revision(reader: StateReader) -> int:
    """The revision of a state."""
    return _read_memory(reader)[0]


class Machine:
    """The state machine over one state."""

    __slots__ = ("_clients", "_memory_row", "_state", "changes", "clock_ms", "revision", "touched")

    def __init__(self, state: StateTransaction) -> None:
        self._state = state
        self.revision, self.clock_ms = _read_memory(state)
        """`clock_ms`: replicated time, the highest stamp of any leader, ms since the Unix epoch."""
        self._memory_row = state.get(keys.MACHINE)
        self._clients = Clients(state)
        self.changes: list[tuple[int, list[Change]]] = []
        """What the last entry changed that can be watched, by revision."""
        self.touched = Touched()
        """What it did in user data."""

    def apply(self, data: bytes, term: int) -> list[AppliedGroup]:
        """Applies the `CommandBatch` of one entry, which is of `term`, and answers its commands.

        What is no batch changes nothing, and what is no command of one is answered so: the log holds it on
        every node, each must come to the same, and none could ever start again if it stopped there. What a
        newer version may have meant is another matter. Raises UnknownCommandError, which must stop the node.
        """
        self.changes = []
        self.touched = Touched()
        batch = _decode_batch(data)
        if batch is None:
            return []
        if batch.version != BATCH_VERSION:
            raise UnknownCommandError(
                f"a batch has format version {batch.version}, this node knows only {BATCH_VERSION}"
            )
        self.clock_ms = max(self.clock_ms, min(batch.time_ms, TIME_MS_MAX))
        applied = [
            AppliedGroup(
                group.origin_id,
                group.group_id,
                [self._apply_command(command, term) for command in group.commands],
            )
            for group in batch.groups
        ]
        row = _MEMORY.pack(_MEMORY_VERSION, self.revision, self.clock_ms)
        self._state.put(keys.MACHINE, row, self._memory_row)
        self._memory_row = row
        return applied

    def _apply_command(self, data: bytes, term: int) -> Answer:
        try:
            command = command_pb2.Command.FromString(data)
        except DecodeError:
            return Answer(self.revision, Failed(FailureReason.MALFORMED))
        if not command.client_id:
            return self._execute(command, term)
        return self._clients.once(
            command,
            lambda: self._execute(command, term),
            clock_ms=self.clock_ms,
            revision=self.revision,
        )

    def _execute(self, command: command_pb2.Command, term: int) -> Answer:
        """A command that changes something is given the next revision; one that changes nothing leaves the
        state as it is."""
        space = KvSpace(self._state, self.revision + 1)
        changed = False
        result: Result
        match command.WhichOneof("command"):
            case "put":
                result = kv.put(space, command.put)
            case "user_data":
                users = UserSpace(space, self.clock_ms, self.touched)
                result = user_data.apply(users, command.user_data)
                changed = users.changed
            case "delete":
                result = kv.delete(space, command.delete)
            case "delete_range":
                result = kv.delete_range(space, command.delete_range)
            case "compare_and_set":
                result = kv.compare_and_set(space, command.compare_and_set)
            case "batch_write":
                result = kv.batch_write(space, command.batch_write)
            case "txn":
                result = txn(space, command.txn)
            case "list":
                answers = tuple([self._execute(each, term) for each in command.list.commands])
                return Answer(self.revision, ListResult(answers))
            case "register_client":
                self._clients.register(space.revision, self.clock_ms)
                result, changed = RegisterClientResult(space.revision), True
            case "unregister_client":
                changed = self._clients.forget(command.unregister_client.client_id)
                result = DoneResult()
            case "grant_lease":
                result = lease_commands.grant(space, command.grant_lease, self.clock_ms)
                changed = not isinstance(result, Failed)
            case "renew_leases":
                result = lease_commands.renew(self._state, command.renew_leases, self.clock_ms)
            case "revoke_lease":
                users = UserSpace(space, self.clock_ms, self.touched)
                result = lease_commands.revoke(users, command.revoke_lease)
                changed = not isinstance(result, Failed)
            case "expire":
                result, changed = DoneResult(), self._expire(space, command.expire, term)
            case None if not len(UnknownFieldSet(command)):
                result = Failed(FailureReason.MALFORMED)
            case kind:
                raise UnknownCommandError(f"a command is of kind {kind}, which this node does not know")
        if changed or space.changes:
            self.revision = space.revision
            if space.changes:
                self.changes.append((space.revision, space.changes))
        return Answer(self.revision, result)

    def _expire(self, space: KvSpace, command: command_pb2.ExpireCommand, term: int) -> bool:
        if command.term != term:
            return False
        users = UserSpace(space, self.clock_ms, self.touched)
        ended = lease_commands.expire(users, command.lease_ids)
        forgotten = [self._clients.forget_idle(client_id, self.clock_ms) for client_id in command.client_ids]
        if command.user_data:
            due.do(users)
        return ended or any(forgotten) or users.changed


def _decode_batch(data: bytes) -> command_pb2.CommandBatch | None:
    """None: it is none. Every version of `CommandBatch` has a number from 1 on and can be decoded by all
    others, so that it is the same on every node whether something is one."""
    try:
        batch = command_pb2.CommandBatch.FromString(data)
    except DecodeError:
        return None
    return batch if batch.version else None


def _read_memory(reader: StateReader) -> tuple[int, int]:
    row = reader.get(keys.MACHINE)
    return (0, 0) if row is None else decode_memory(row)


def decode_memory(row: bytes) -> tuple[int, int]:
    """The revision and the replicated time, in milliseconds, of a state by its `keys.MACHINE` row."""
    version, revision, clock_ms = _MEMORY.unpack(row)
    if version != _MEMORY_VERSION:
        raise UnknownCommandError(
            f"the state has format version {version}, this node knows {_MEMORY_VERSION}"
        )
    return revision, clock_ms
