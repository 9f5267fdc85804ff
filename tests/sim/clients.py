"""Clients: each calls one thing at a time, at any node, and writes down what it was told.

A write whose node dies, or whose answer does not come in time, is *unknown* for ever; but a client that
is registered numbers its writes and repeats them, here and there, until they are answered. Keys are few,
so that calls meet; values are unique, so that every read names the write it saw.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from kvraft.errors import RequestError
from kvraft.machine import kv
from kvraft.machine.records import KvRecord
from kvraft.machine.results import Answer, Failed, RegisterClientResult, TxnResult
from tests.sim.checkers.ledger import encode
from tests.sim.history import (
    Batch,
    Compare,
    CompareAndSet,
    Delete,
    DeleteRange,
    Freshness,
    Get,
    Operand,
    Operation,
    Outcome,
    Put,
    Read,
    Register,
    Relation,
    Txn,
    TxnOperations,
    Violation,
    Write,
)
from tests.sim.hostile import reuse_number
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World

KEYS = tuple(b"k%d" % number for number in range(6))
EVERYTHING = Read(b"", b"")


class Recorder:
    """The history of a run."""

    def __init__(self) -> None:
        self.operations: dict[int, Operation] = {}
        self._moment = 0

    def invoke(self, client: int, host: Host, request: Write | Read) -> Operation:
        """A call begins."""
        self._moment += 1
        operation = Operation(len(self.operations) + 1, client, host.node_id, request, self._moment)
        self.operations[operation.number] = operation
        return operation

    def end(self, operation: Operation, outcome: Outcome) -> None:
        """A call ends; one of unknown outcome may take effect for ever after."""
        operation.outcome = outcome
        if outcome is not Outcome.UNKNOWN:
            self._moment += 1
            operation.returned = self._moment


class Call:
    """One call at one node, until it is answered or given up."""

    __slots__ = ("_host", "_is_over", "_life", "_on_end", "_recorder", "_world", "operation")

    def __init__(
        self,
        world: World,
        recorder: Recorder,
        host: Host,
        operation: Operation,
        timeout_us: int,
        on_end: Callable[[Operation], None],
    ) -> None:
        self._world = world
        self._recorder = recorder
        self._host = host
        self._life = host.life
        self.operation = operation
        self._on_end = on_end
        self._is_over = False
        host.on_death.append(self._give_up)
        world.timeline.after(timeout_us, self._give_up)
        if world.report.is_traced:
            world.report.say(f"c{operation.client}", f"calls {operation}")
        host.post(host.life, self._submit)

    def _submit(self) -> None:
        host, request = self._host, self.operation.request
        replica = host.replica
        assert replica is not None
        now_ms = host.now_ms()
        if not isinstance(request, Read):
            grows_state = not isinstance(request, Delete | DeleteRange)
            command = encode(request, self.operation.number, self.operation.request_id)
            replica.submit(command, grows_state=grows_state, now_ms=now_ms, on_answer=self._answered)
        elif request.freshness is Freshness.LINEARIZABLE:
            replica.read(now_ms=now_ms, on_fresh=self._fresh)
        elif request.freshness is Freshness.AT_LEAST:
            replica.read_at_least(request.min_revision, now_ms=now_ms, on_fresh=self._fresh)
        else:
            self._look()
        host.wake()

    def _answered(self, answer: Answer | RequestError) -> None:
        if self._is_over:
            return
        if isinstance(answer, RequestError):
            self._world.report.events[f"answer {answer.reason.value}"] += 1
            self._end(Outcome.NOT_APPLIED if answer.applied == "no" else Outcome.UNKNOWN)
            return
        if isinstance(answer.result, Failed):
            raise Violation(f"refused, {answer.result}: {self.operation}")
        self.operation.revision, self.operation.result = answer.revision, answer.result
        self._end(Outcome.DONE)

    def _fresh(self, error: RequestError | None) -> None:
        if error is not None:
            self._world.report.events[f"read {error.reason.value}"] += 1
            if not self._is_over:
                self._end(Outcome.UNKNOWN)
        elif self.operation.number % 2:
            self._look()
        else:  # as a handler that gets its turn a little later
            self._world.timeline.after(1 * MS_US, self._host.post, self._life, self._look)

    def _look(self) -> None:
        replica = self._host.replica
        if self._is_over or replica is None:
            return
        request = self.operation.request
        assert isinstance(request, Read)
        if request.end == request.start + b"\x00":
            record = kv.get(replica.state, request.start)
            self.operation.rows = {} if record is None else {request.start: record}
        else:
            backwards = bool(self.operation.number & 4)
            self.operation.rows = dict(kv.scan(replica.state, request.start, request.end, reverse=backwards))
        self.operation.revision = replica.machine.revision
        self._end(Outcome.DONE)

    def _give_up(self) -> None:
        if not self._is_over:
            self._world.report.events["client gave up"] += 1
            self._end(Outcome.UNKNOWN)

    def _end(self, outcome: Outcome) -> None:
        self._is_over = True
        if self.operation.request_id is not None and outcome is not Outcome.DONE:
            self._world.report.events["numbered write repeated"] += 1
            self._on_end(self.operation)
            return
        self._recorder.end(self.operation, outcome)
        if self._world.report.is_traced:
            self._world.report.say(f"c{self.operation.client}", f"ends {self.operation}")
        self._on_end(self.operation)


class Client:
    """One caller after the other, with a little memory for comparisons and minimal revisions."""

    def __init__(
        self, number: int, world: World, recorder: Recorder, chance: random.Random, pace_us: int
    ) -> None:
        self._number = number
        self._world = world
        self._recorder = recorder
        self._chance = chance
        self._pace_us = pace_us
        self._known: dict[bytes, KvRecord | None] = {}
        self._registers = chance.random() < 0.5
        self._reuses = random.Random(f"{chance.getstate()[1][0]} reuses")
        """Chance of its own: whether a number is used again shifts nothing else."""
        self._client_id: int | None = None
        self._sequence = 0
        self._revision = 0
        self.is_stopped = False
        self._think()

    def _think(self) -> None:
        if self.is_stopped:
            return
        # Often at once, so that calls meet; now and then a pause.
        quick = self._chance.random() < 0.5
        delay_us = 1 + int(self._chance.expovariate(1 / (self._pace_us / 10 if quick else self._pace_us)))
        self._world.timeline.after(delay_us, self._call)

    def _call(self) -> None:
        if self.is_stopped:
            return
        host = self._chance.choice(list(self._world.hosts.values()))
        if not host.is_up:
            self._think()
            return
        if self._registers and self._client_id is None:
            operation = self._recorder.invoke(self._number, host, Register())
        else:
            operation = self._recorder.invoke(self._number, host, self._request())
            if self._client_id is not None and not isinstance(operation.request, Read):
                self._sequence += 1
                operation.request_id = (self._client_id, self._sequence)
        self._attempt(host, operation)

    def _attempt(self, host: Host, operation: Operation) -> None:
        timeout_us = self._chance.randrange(500 * MS_US, 6_000 * MS_US)
        Call(self._world, self._recorder, host, operation, timeout_us, self._ended)

    def _repeat(self, operation: Operation) -> None:
        """The same, to any node that is up."""
        up = [host for host in self._world.hosts.values() if host.is_up]
        if self.is_stopped:
            return
        if up:
            self._attempt(self._chance.choice(up), operation)
        else:
            self._world.timeline.after(self._pace_us, self._repeat, operation)

    def _ended(self, operation: Operation) -> None:
        if operation.request_id is not None and operation.outcome is not Outcome.DONE:
            self._world.timeline.after(1 + self._chance.randrange(self._pace_us), self._repeat, operation)
            return
        self._world.report.events[f"operation {operation.outcome.value}"] += 1
        if operation.outcome is Outcome.DONE:
            if operation.request_id is not None and self._reuses.random() < 0.1:
                reuse_number(self._world, self._reuses, operation.request_id)
            self._revision = max(self._revision, operation.revision)
            if isinstance(operation.result, TxnResult):
                branch = "succeeded" if operation.result.succeeded else "failed"
                self._world.report.events[f"transaction {branch}"] += 1
            request = operation.request
            if isinstance(operation.result, RegisterClientResult):
                self._client_id = operation.result.client_id
            if isinstance(request, Read):
                assert operation.rows is not None
                for key in KEYS:
                    if request.covers(key):
                        self._known[key] = operation.rows.get(key)
        self._think()

    def _value(self) -> bytes:
        padding = b"." * self._chance.choice((0, 5, 40))
        return b"v%d" % (len(self._recorder.operations) + 1) + padding

    def _request(self) -> Write | Read:
        chance = self._chance
        key = chance.choice(KEYS)
        kind = chance.random()
        if kind < 0.27:
            return Put(key, self._value(), chance.random() < 0.4)
        if kind < 0.34:
            return Delete(key, chance.random() < 0.4)
        if kind < 0.37:
            start, end = sorted(chance.sample((*KEYS, b"k9"), 2))
            return DeleteRange(start, end, chance.choice((1, 2, 1_000)))
        if kind < 0.50:
            known = self._known.get(key)
            value = None if chance.random() < 0.2 else self._value()
            if known is None:
                return CompareAndSet(key, 0, None, value)
            return CompareAndSet(key, known.mod_revision, known.value, value)
        if kind < 0.57:
            return Batch(
                tuple(
                    (
                        chance.choice(KEYS),
                        None if chance.random() < 0.3 else self._value() + b"/%d" % position,
                    )
                    for position in range(chance.randrange(1, 5))
                )
            )
        if kind < 0.66:
            compares = tuple(self._compare() for _ in range(chance.choice((0, 1, 1, 2))))
            return Txn(compares, self._branch(b"/s%d"), self._branch(b"/f%d"))
        return self._read(key)

    def _compare(self) -> Compare:
        """With what is known of a key, so that it holds if nobody has written it meanwhile."""
        chance = self._chance
        key = chance.choice(KEYS)
        known = self._known.get(key)
        operand = chance.choice(tuple(Operand))
        if known is None and operand is Operand.VALUE:
            operand = Operand.EXISTS
        relation = chance.choice((Relation.EQUAL, Relation.EQUAL, *Relation))
        match operand:
            case Operand.VALUE:
                assert known is not None
                return Compare(key, operand, relation, known.value)
            case Operand.VERSION:
                return Compare(key, operand, relation, known.version if known else 0)
            case Operand.MOD_REVISION:
                return Compare(key, operand, relation, known.mod_revision if known else 0)
            case Operand.EXISTS:
                relation = chance.choice((Relation.EQUAL, Relation.EQUAL, Relation.NOT_EQUAL))
                return Compare(key, operand, relation, int(known is not None))

    def _branch(self, mark: bytes) -> TxnOperations:
        """Of few keys, so that operations meet inside of a transaction too."""
        chance = self._chance
        keys = chance.sample(KEYS, 2)
        return tuple(
            self._operation(chance.choice(keys), mark % position) for position in range(chance.randrange(4))
        )

    def _operation(self, key: bytes, mark: bytes) -> Put | Delete | Get:
        chance = self._chance
        kind = chance.random()
        if kind < 0.5:
            return Put(key, b"v%d" % (len(self._recorder.operations) + 1) + mark, chance.random() < 0.4)
        if kind < 0.75:
            return Delete(key, chance.random() < 0.4)
        return Get(key)

    def _read(self, key: bytes) -> Read:
        chance = self._chance
        start, end = (key, key + b"\x00") if chance.random() < 0.7 else (b"", b"")
        kind = chance.random()
        if kind < 0.7:
            return Read(start, end)
        if kind < 0.85:
            return Read(start, end, Freshness.AT_LEAST, self._revision + chance.choice((0, 0, 1)))
        return Read(start, end, Freshness.STALE)
