"""Applies Raft entries: batches of commands, under the leader's clock, each with its revision.

The machine's own memory is one row (`keys.MACHINE`), written once an entry, in the same
transaction as everything the entry changed: a state is never without its revision.

An entry may hold more work than a node can do between two heartbeats, so applying one pauses between two
commands whenever the caller's allowance of work is used up (`kvraft.machine.work` says what that is). At a
pause everything is as at the end of an entry, but that the entry is not over: the state may be read, and its
revision stands for what it holds. What may not be done is to take it for the state at an index of the log.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from kvraft.machine import keys, kv, lease_commands
from kvraft.machine.clients import Clients, fingerprint_of
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
from kvraft.machine.work import ENDLESS, LIST_WORK_MAX
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

    __slots__ = (
        "_clients",
        "_memory_row",
        "_state",
        "allowance",
        "changes",
        "clock_ms",
        "revision",
        "touched",
    )

    def __init__(self, state: StateTransaction) -> None:
        self._state = state
        self.revision, self.clock_ms = _read_memory(state)
        """`clock_ms`: replicated time, the highest stamp of any leader, ms since the Unix epoch."""
        self._memory_row = state.get(keys.MACHINE)
        self._clients = Clients(state)
        self.allowance = ENDLESS
        """How much work may be done until `apply` pauses. The caller gives it; it may end below 0."""
        self.changes: list[tuple[int, list[Change]]] = []
        """What was changed since the entry began or went on that can be watched, by revision."""
        self.touched = Touched()
        """What was done in user data since then."""

    def apply(self, data: bytes, term: int) -> Iterator[AppliedGroup | None]:
        """Applies the `CommandBatch` of one entry, which is of `term`: each group as it is done, and None
        where it pauses. It must be gone through to the end before another entry is begun.

        What is no batch changes nothing, and what is no command of one is answered so: the log holds it on
        every node, each must come to the same, and none could ever start again if it stopped there. What a
        newer version may have meant is another matter. Raises UnknownCommandError, which must stop the node.
        """
        self._begin()
        batch = _decode_batch(data)
        if batch is None:
            return
        if batch.version != BATCH_VERSION:
            raise UnknownCommandError(
                f"a batch has format version {batch.version}, this node knows only {BATCH_VERSION}"
            )
        self.clock_ms = max(self.clock_ms, min(batch.time_ms, TIME_MS_MAX))
        for group in batch.groups:
            answers: list[Answer] = []
            for command in group.commands:
                if self.allowance <= 0:
                    yield from self._pause()
                answers.append((yield from self._apply_command(command, term)))
            yield AppliedGroup(group.origin_id, group.group_id, answers)
        self._write_memory()

    def _pause(self) -> Iterator[None]:
        self._write_memory()
        yield None
        self._begin()

    def _begin(self) -> None:
        self.changes = []
        self.touched = Touched()

    def _write_memory(self) -> None:
        row = _MEMORY.pack(_MEMORY_VERSION, self.revision, self.clock_ms)
        self._state.put(keys.MACHINE, row, self._memory_row)
        self._memory_row = row

    def _apply_command(self, data: bytes, term: int) -> Generator[None, None, Answer]:
        try:
            command = command_pb2.Command.FromString(data)
        except DecodeError:
            return Answer(self.revision, Failed(FailureReason.MALFORMED))
        fingerprint = fingerprint_of(data, command.client_id) if command.client_id else b""
        if fingerprint:
            known = self._clients.recall(command, fingerprint, clock_ms=self.clock_ms, revision=self.revision)
            if known is not None:
                return known
        if command.HasField("list"):
            answer = yield from self._execute_list(command.list, term)
        else:
            answer = self._execute(command, term)
        if fingerprint:
            self._clients.remember(command, fingerprint, answer)
        return answer

    def _execute_list(self, commands: command_pb2.CommandList, term: int) -> Generator[None, None, Answer]:
        """Each command by itself. Once they have cost what a list may cost, the rest is refused."""
        answers: list[Answer] = []
        left = LIST_WORK_MAX
        for command in commands.commands:
            if left <= 0:
                answers.append(Answer(self.revision, Failed(FailureReason.TOO_MUCH_WORK, LIST_WORK_MAX)))
                continue
            before = self.allowance
            if before <= 0:
                yield from self._pause()
                before = self.allowance
            answers.append(self._execute(command, term))
            left -= before - self.allowance
        return Answer(self.revision, ListResult(tuple(answers)))

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
                space.work += users.work
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
                space.work += users.work
            case "expire":
                result, changed = DoneResult(), self._expire(space, command.expire, term)
            case "list":
                result = Failed(FailureReason.MALFORMED)  # inside of another one
            case None if not len(UnknownFieldSet(command)):
                result = Failed(FailureReason.MALFORMED)
            case kind:
                raise UnknownCommandError(f"a command is of kind {kind}, which this node does not know")
        self.allowance -= space.work
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
        forgotten, rows = self._clients.forget_idle(command.client_ids, self.clock_ms)
        if command.user_data:
            due.do(users)
        space.work += rows + users.work
        return ended or forgotten or users.changed


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
