"""Applies Raft entries: batches of commands, under the leader's clock, each with its revision.

The machine's own memory is one row (`keys.MACHINE`), written once an entry, in the same
transaction as everything the entry changed: a state is never without its revision.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from kvraft.machine import keys, kv
from kvraft.machine.results import Answer, Result
from kvraft.storage.interfaces import StateReader, StateTransaction
from kvraft.v1 import command_pb2

BATCH_VERSION = 1
"""The format of `CommandBatch` this machine applies."""

# format version, revision, clock
_MEMORY = struct.Struct(">BQQ")
_MEMORY_VERSION = 1


class UnknownCommandError(Exception):
    """The log holds what this version does not understand: a newer format, or damage. The node
    must stop rather than skip it; run a version that knows it."""


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

    __slots__ = ("_memory_row", "_state", "clock_ms", "revision")

    def __init__(self, state: StateTransaction) -> None:
        self._state = state
        self.revision, self.clock_ms = _read_memory(state)
        """`clock_ms`: replicated time, the highest stamp of any leader, ms since the Unix epoch."""
        self._memory_row = state.get(keys.MACHINE)

    def apply(self, data: bytes) -> list[AppliedGroup]:
        """Applies one entry's `CommandBatch` and answers its commands.

        Raises UnknownCommandError, which must stop the node.
        """
        try:
            batch = command_pb2.CommandBatch.FromString(data)
        except DecodeError as error:
            raise UnknownCommandError(f"a batch of {len(data)} bytes cannot be decoded: {error}") from error
        if batch.version != BATCH_VERSION:
            raise UnknownCommandError(
                f"a batch has format version {batch.version}, this node knows only {BATCH_VERSION}"
            )
        self.clock_ms = max(self.clock_ms, batch.time_ms)
        applied = [
            AppliedGroup(
                group.origin_id, group.group_id, [self._apply_command(command) for command in group.commands]
            )
            for group in batch.groups
        ]
        row = _MEMORY.pack(_MEMORY_VERSION, self.revision, self.clock_ms)
        self._state.put(keys.MACHINE, row, self._memory_row)
        self._memory_row = row
        return applied

    def _apply_command(self, data: bytes) -> Answer:
        try:
            command = command_pb2.Command.FromString(data)
        except DecodeError as error:
            raise UnknownCommandError(f"a command of {len(data)} bytes cannot be decoded: {error}") from error
        state, revision = self._state, self.revision + 1
        changed: bool
        result: Result
        match command.WhichOneof("command"):
            case "put":
                changed, result = kv.put(state, command.put, revision)
            case "delete":
                changed, result = kv.delete(state, command.delete, revision)
            case "delete_range":
                changed, result = kv.delete_range(state, command.delete_range, revision)
            case "compare_and_set":
                changed, result = kv.compare_and_set(state, command.compare_and_set, revision)
            case "batch_write":
                changed, result = kv.batch_write(state, command.batch_write, revision)
            case _:
                raise UnknownCommandError(
                    f"a command of {len(data)} bytes is of a kind this node does not know"
                )
        if changed:
            self.revision = revision
        return Answer(self.revision, result)


def _read_memory(reader: StateReader) -> tuple[int, int]:
    row = reader.get(keys.MACHINE)
    if row is None:
        return 0, 0
    version, revision, clock_ms = _MEMORY.unpack(row)
    if version != _MEMORY_VERSION:
        raise UnknownCommandError(
            f"the state has format version {version}, this node knows {_MEMORY_VERSION}"
        )
    return revision, clock_ms
