"""Is there an order of all operations on a key, each at one moment between its call and its return,
that explains every answer?

The search is that of Wing and Gong with the improvements of Lowe ("Testing for linearizability",
2017): a linked list of calls and returns out of which operations are lifted as they are placed, and
a cache of (placed operations, state) that were tried before. Keys are checked one by one: what holds
for all of them together (linearizability is local, Herlihy and Wing 1990) holds for each. What an
operation on several keys promises beyond that is checked by `revisions` and `ledger`.

A transaction is, for each key, what its answer says of it: the branch that was done. One of unknown
outcome may have done either branch; both may be placed then, which forbids a little less than it should.

An operation whose outcome is unknown may be placed anywhere after its call, or nowhere. A search that
takes too many steps raises: not knowing is a failure, never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    PutResult,
    TxnOperationResult,
    TxnResult,
)
from tests.sim.history import (
    FOREVER,
    Batch,
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
    Relation,
    Txn,
    Violation,
)

STEPS_MAX = 300_000
"""Of the search over one key."""


UNSEEN = b"a value that nobody saw"


class SearchTooLongError(Exception):
    """The checker does not know. That is a failure of the run as well."""


class Before(Enum):
    """What the answer says about the key just before."""

    ANYTHING = "anything"
    VALUE = "this value"
    PRESENT = "any value"


class Effect(Enum):
    """What the operation does to the key."""

    NOTHING = "nothing"
    SET = "set"
    SET_IF = "set, if it held what was expected"
    MAYBE_DELETE = "delete, or nothing"


@dataclass(frozen=True, slots=True)
class KeyOperation:
    """What an operation means for one key. Values are unique; None: the key is absent."""

    operation: Operation
    invoked: int
    returned: int
    before: Before = Before.ANYTHING
    before_value: bytes | None = None
    effect: Effect = Effect.NOTHING
    value: bytes | None = None
    expected: bytes | None = None
    """Of SET_IF."""


States = frozenset[bytes | None]
"""Every value that the key may hold."""


def step(states: States, operation: KeyOperation) -> States:
    """The values after the operation; none if its answer is impossible."""
    match operation.before:
        case Before.VALUE:
            states = states & {operation.before_value}
        case Before.PRESENT:
            states = states - {None}
        case Before.ANYTHING:
            pass
    if not states:
        return states
    match operation.effect:
        case Effect.SET:
            return frozenset({operation.value})
        case Effect.SET_IF:
            return frozenset(operation.value if each == operation.expected else each for each in states)
        case Effect.MAYBE_DELETE:
            return states | {None}
        case Effect.NOTHING:
            return states


def check_linearizable(history: Iterable[Operation], *, steps_max: int = STEPS_MAX) -> None:
    """Raises Violation for the first key whose history has no order, SearchTooLongError where that
    could not be found out."""
    by_key: dict[bytes, list[KeyOperation]] = {}
    operations = list(history)
    keys = sorted({key for operation in operations for key in _named_keys(operation)})
    for operation in operations:
        if operation.outcome is Outcome.NOT_APPLIED:
            continue
        for key in keys:
            by_key.setdefault(key, []).extend(_on_key(operation, key))
    for key in keys:
        check_key(key, by_key.get(key, []), steps_max=steps_max)


def check_key(key: bytes, operations: Sequence[KeyOperation], *, steps_max: int = STEPS_MAX) -> None:
    """The same for one key, which begins absent."""
    bounded = _bound_by_observers(operations)
    if not _Search(bounded, steps_max, key).succeeds():
        story = "\n".join(f"  {each.operation}" for each in sorted(bounded, key=lambda each: each.invoked))
        raise Violation(f"the history of key {key!r} is not linearizable:\n{story}")


def _bound_by_observers(operations: Sequence[KeyOperation]) -> list[KeyOperation]:
    """Values are unique: an operation of unknown outcome whose value was seen had come before the one
    that saw it returned. The search is far shorter for knowing that. A comparison that is found out so
    has seen a value in its turn."""
    bounded = list(operations)
    while True:
        seen: dict[bytes, int] = {}
        for each in bounded:
            if each.before is Before.VALUE and each.before_value is not None:
                seen[each.before_value] = min(seen.get(each.before_value, FOREVER), each.returned)
        found = False
        for position, each in enumerate(bounded):
            if (
                each.returned == FOREVER
                and each.value is not None
                and seen.get(each.value, FOREVER) < FOREVER
            ):
                bounded[position] = _certain(each, seen[each.value])
                found = True
        if not found:
            return bounded


def _certain(each: KeyOperation, returned: int) -> KeyOperation:
    """It took effect before that; a comparison, then, has succeeded."""
    if each.effect is not Effect.SET_IF:
        return replace(each, returned=returned)
    return replace(
        each, returned=returned, before=Before.VALUE, before_value=each.expected, effect=Effect.SET
    )


class _Event:
    """A call or a return, in the list of those that are left."""

    __slots__ = ("next", "number", "operation", "previous", "return_event")

    def __init__(self, operation: KeyOperation | None, number: int) -> None:
        self.operation = operation
        """None: a return."""
        self.number = number
        """Of a call: its bit; of a return: when it was."""
        self.return_event: _Event | None = None
        self.previous: _Event = self
        self.next: _Event | None = None


class _Search:
    """One key's search.

    Operations of unknown outcome whose value nobody saw need no place; one is tried only where a return
    cannot be passed without it. All that do the same are alike, so that the earliest of them serves.
    """

    def __init__(self, operations: Sequence[KeyOperation], steps_max: int, key: bytes) -> None:
        self._steps_left = steps_max
        self._key = key
        self._head = _Event(None, -1)
        self._returns_left = 0
        self._optional = _optional_kinds(operations)
        known = [operation for operation in operations if operation.returned != FOREVER]
        moments: list[tuple[int, int, _Event]] = []
        for number, operation in enumerate(known):
            call = _Event(operation, number)
            call.return_event = _Event(None, operation.returned)
            moments.append((operation.invoked, 0, call))
            moments.append((operation.returned, 1, call.return_event))
            self._returns_left += 1
        last = self._head
        for _, _, event in sorted(moments, key=lambda moment: moment[:2]):
            last.next, event.previous = event, last
            last = event

    def succeeds(self) -> bool:
        states: States = frozenset({None})
        placed = 0
        used = (0,) * len(self._optional)
        tried: set[tuple[int, tuple[int, ...], States]] = set()
        # What was placed and what was the case before: (call, or None and the kind of an optional
        # operation and the return before which it was placed; states, used).
        path: list[tuple[_Event, int, States, tuple[int, ...]]] = []
        event = self._head.next
        kind = 0  # at a return: the next kind of optional operation to try
        while self._returns_left:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise SearchTooLongError(f"key {self._key!r}: no answer after the allowed number of steps")
            assert event is not None, "the last return is never passed"
            if event.operation is not None:
                after = step(states, event.operation)
                attempt = placed | 1 << event.number, used, after
                if after and attempt not in tried:
                    tried.add(attempt)
                    path.append((event, 0, states, used))
                    placed, states = attempt[0], after
                    self._lift(event)
                    event = self._head.next
                else:
                    event = event.next
                kind = 0
            elif kind < len(self._optional):
                operations = self._optional[kind]
                count = used[kind]
                if count < len(operations) and operations[count].invoked < event.number:
                    after = step(states, operations[count])
                    more = (*used[:kind], count + 1, *used[kind + 1 :])
                    if after != states and (placed, more, after) not in tried:
                        tried.add((placed, more, after))
                        path.append((event, kind, states, used))
                        states, used, kind = after, more, 0
                        event = self._head.next
                        continue
                kind += 1
            elif path:
                # This return cannot wait any longer: what was placed last was wrong.
                event, kind, states, used = path.pop()
                if event.operation is None:
                    kind += 1
                else:
                    placed &= ~(1 << event.number)
                    self._unlift(event)
                    event, kind = event.next, 0
            else:
                return False
        return True

    def _lift(self, call: _Event) -> None:
        for event in (call, call.return_event):
            assert event is not None
            event.previous.next = event.next
            if event.next is not None:
                event.next.previous = event.previous
        self._returns_left -= 1

    def _unlift(self, call: _Event) -> None:
        for event in (call.return_event, call):
            assert event is not None
            event.previous.next = event
            if event.next is not None:
                event.next.previous = event
        self._returns_left += 1


def _optional_kinds(operations: Sequence[KeyOperation]) -> list[list[KeyOperation]]:
    """Operations that need no place, by what they would do, each kind by the time of its calls. A value
    that nobody saw, nor compares with, is like any other such value."""
    compared = {operation.expected for operation in operations if operation.effect is Effect.SET_IF}
    kinds: dict[tuple[Effect, bytes | None, bytes | None], list[KeyOperation]] = {}
    for operation in sorted(operations, key=lambda each: each.invoked):
        if operation.returned != FOREVER:
            continue
        effect = Effect.SET if operation.effect is Effect.MAYBE_DELETE else operation.effect
        is_unseen = operation.value is not None and operation.value not in compared
        value = UNSEEN if is_unseen else operation.value
        kind = kinds.setdefault((effect, value, operation.expected), [])
        kind.append(replace(operation, effect=effect, value=value))
    return list(kinds.values())


# --- what an operation means for one key ------------------------------------------------------


def _named_keys(operation: Operation) -> set[bytes]:
    match operation.request:
        case Put(key=key) | Delete(key=key) | CompareAndSet(key=key):
            return {key}
        case Batch(operations=operations):
            return {key for key, _ in operations}
        case Txn(success=success, failure=failure):
            return {each.key for each in (*success, *failure)}
        case _:
            return set(operation.rows or ())


def _on_key(operation: Operation, key: bytes) -> Iterator[KeyOperation]:
    """Nothing where it means nothing, or nothing that could be wrong."""
    if isinstance(operation.request, Txn):
        yield from _txn_on_key(operation, operation.request, key)
    else:
        meaning = _single_on_key(operation, key)
        if meaning is not None:
            yield meaning


def _txn_on_key(operation: Operation, txn: Txn, key: bytes) -> Iterator[KeyOperation]:
    result = operation.result
    if not isinstance(result, TxnResult):
        for branch in (txn.success, txn.failure):
            writes = [each for each in branch if each.key == key and not isinstance(each, Get)]
            if writes:
                value = _value_after(writes[-1])
                yield KeyOperation(operation, operation.invoked, FOREVER, effect=Effect.SET, value=value)
        return
    meaning = KeyOperation(operation, operation.invoked, operation.returned)
    branch = txn.success if result.succeeded else txn.failure
    mine = [each for each in zip(branch, result.results, strict=True) if each[0].key == key]
    if result.succeeded:
        meaning = _compared(meaning, txn, key)
    for request, told in mine:
        before = _told_before(request, told)
        if before is not None and meaning.before is not Before.VALUE:
            meaning = replace(meaning, before=before[0], before_value=before[1])
        if not isinstance(request, Get):
            # What those behind it are told is of the transaction's own making.
            break
    writes = [request for request, _ in mine if not isinstance(request, Get)]
    if writes:
        meaning = replace(meaning, effect=Effect.SET, value=_value_after(writes[-1]))
    if meaning.before is not Before.ANYTHING or writes:
        yield meaning


def _compared(meaning: KeyOperation, txn: Txn, key: bytes) -> KeyOperation:
    """What comparisons that held say of the key."""
    for compare in txn.compares:
        if compare.key != key or compare.relation is not Relation.EQUAL:
            continue
        if compare.operand is Operand.VALUE:
            assert isinstance(compare.to, bytes)
            return replace(meaning, before=Before.VALUE, before_value=compare.to)
        if compare.operand is Operand.EXISTS:
            meaning = replace(meaning, before=Before.PRESENT if compare.to else Before.VALUE)
    return meaning


def _told_before(request: Put | Delete | Get, told: TxnOperationResult) -> tuple[Before, bytes | None] | None:
    """What the answer of an operation says of the key just before it; None: nothing."""
    match told:
        case GetResult(record=record):
            return Before.VALUE, record.value if record else None
        case PutResult(previous=previous) if isinstance(request, Put) and request.return_previous:
            return Before.VALUE, previous.value if previous else None
        case DeleteResult(deleted=deleted, previous=previous):
            if previous is not None:
                return Before.VALUE, previous.value
            return (Before.PRESENT if deleted else Before.VALUE), None
        case _:
            return None


def _value_after(write: Put | Delete) -> bytes | None:
    return write.value if isinstance(write, Put) else None


def _single_on_key(operation: Operation, key: bytes) -> KeyOperation | None:
    done = operation.outcome is Outcome.DONE
    plain = KeyOperation(operation, operation.invoked, operation.returned if done else FOREVER)
    result = operation.result
    match operation.request:
        case Read() as read:
            if not done or read.freshness is not Freshness.LINEARIZABLE or not read.covers(key):
                return None
            assert operation.rows is not None
            record = operation.rows.get(key)
            return replace(plain, before=Before.VALUE, before_value=record.value if record else None)
        case Put() as put if put.key == key:
            meaning = replace(plain, effect=Effect.SET, value=put.value)
            if isinstance(result, PutResult) and put.return_previous:
                previous = result.previous
                return replace(
                    meaning, before=Before.VALUE, before_value=previous.value if previous else None
                )
            return meaning
        case Delete() as delete if delete.key == key:
            meaning = replace(plain, effect=Effect.SET)
            if isinstance(result, DeleteResult):
                if not result.deleted:
                    return replace(meaning, before=Before.VALUE)
                if result.previous is not None:
                    return replace(meaning, before=Before.VALUE, before_value=result.previous.value)
                return replace(meaning, before=Before.PRESENT)
            return meaning
        case CompareAndSet() as comparison if comparison.key == key:
            if not isinstance(result, CompareAndSetResult):
                return replace(
                    plain, effect=Effect.SET_IF, value=comparison.value, expected=comparison.expected_value
                )
            if result.succeeded:
                return replace(
                    plain,
                    before=Before.VALUE,
                    before_value=comparison.expected_value,
                    effect=Effect.SET,
                    value=comparison.value,
                )
            current = result.current.value if result.current else None
            if current == comparison.expected_value:
                raise Violation(f"a comparison failed with what it expected: {operation}")
            return replace(plain, before=Before.VALUE, before_value=current)
        case Batch() as batch if any(each == key for each, _ in batch.operations):
            mine = [position for position, (each, _) in enumerate(batch.operations) if each == key]
            meaning = replace(plain, effect=Effect.SET, value=batch.operations[mine[-1]][1])
            if isinstance(result, BatchWriteResult):
                existed = result.existed[mine[0]]
                return replace(meaning, before=Before.PRESENT if existed else Before.VALUE)
            return meaning
        case DeleteRange() as doomed if doomed.covers(key):
            if isinstance(result, DeleteRangeResult) and not result.more:
                empty = result.deleted == 0
                return replace(plain, effect=Effect.SET, before=Before.VALUE if empty else Before.ANYTHING)
            return replace(plain, effect=Effect.MAYBE_DELETE)
        case _:
            return None
