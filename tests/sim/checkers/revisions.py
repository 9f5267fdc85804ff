"""The fast check, for histories of any length: revisions are one order, and every answer fits it.

Every answer names a revision, and values are unique, so that the order need not be searched for:

- two writes that changed something never have the same revision;
- what is called after something has returned has no lower revision, and a higher one if it changed
  something and the other one did too, or was a read (stale reads excepted, which promise nothing,
  and reads with a minimum, which promise the minimum);
- a value that was read was written by a call that had begun, that was not answered *not applied*,
  and whose revision, where it is known, is the one that the row names;
- between the revision of a row and that of the read that saw it nobody else has written the key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    PutResult,
    TxnResult,
)
from tests.sim.history import (
    Batch,
    CompareAndSet,
    Delete,
    DeleteRange,
    Freshness,
    Operation,
    Outcome,
    Put,
    Read,
    Txn,
    TxnOperations,
    Violation,
)


def check_revisions(history: Iterable[Operation]) -> None:
    """Raises Violation."""
    operations = list(history)
    done = [operation for operation in operations if operation.outcome is Outcome.DONE]
    _check_real_time(done)
    _check_minimums(done)
    _Values(operations).check(done)


def changed(operation: Operation) -> bool:
    """Whether a write that is done has changed something, as far as its answer tells."""
    match operation.request, operation.result:
        case Put(), _:
            return True
        case Delete(), DeleteResult(deleted=deleted):
            return deleted
        case DeleteRange(), result:
            return bool(getattr(result, "deleted", 0))
        case CompareAndSet(value=value, expected_value=expected), CompareAndSetResult(succeeded=succeeded):
            return succeeded and not (value is None and expected is None)
        case Batch(operations=operations), BatchWriteResult(existed=existed):
            return any(
                value is not None or was_there
                for (_, value), was_there in zip(operations, existed, strict=True)
            )
        case Txn(), TxnResult(results=results):
            return any(
                isinstance(each, PutResult) or (isinstance(each, DeleteResult) and each.deleted)
                for each in results
            )
        case _:
            return False


def _check_real_time(done: list[Operation]) -> None:
    """One sweep over calls and returns, with the highest revision of all that has returned."""
    moments: list[tuple[int, bool, Operation]] = []
    for operation in done:
        moments.append((operation.invoked, False, operation))
        moments.append((operation.returned, True, operation))
    moments.sort(key=lambda moment: moment[0])
    highest, by = 0, None
    floors: dict[int, tuple[int, Operation | None]] = {}
    owners: dict[int, Operation] = {}
    for _, is_return, operation in moments:
        if not is_return:
            floors[operation.number] = highest, by
            continue
        revision = operation.revision
        request = operation.request
        if isinstance(request, Read):
            if request.freshness is not Freshness.LINEARIZABLE:
                continue
            minimum = floors[operation.number][0]
        else:
            is_change = changed(operation)
            minimum = floors[operation.number][0] + is_change
            if is_change:
                other = owners.setdefault(revision, operation)
                if other is not operation:
                    raise Violation(f"two writes have revision {revision}:\n  {other}\n  {operation}")
        if revision < minimum:
            raise Violation(
                f"revision {revision}, at least {minimum} was due:\n  {operation}\nafter\n  "
                f"{floors[operation.number][1]}"
            )
        if revision > highest:
            highest, by = revision, operation


def _check_minimums(done: list[Operation]) -> None:
    for operation in done:
        request = operation.request
        if isinstance(request, Read) and operation.revision < request.min_revision:
            raise Violation(f"a read came back older than it was asked for: {operation}")


class _Values:
    """Who wrote which value, and when each key was written, as far as answers tell."""

    def __init__(self, operations: list[Operation]) -> None:
        self._writers: dict[tuple[bytes, bytes], Operation] = {}
        self._written: dict[bytes, dict[int, bytes | None]] = {}
        """key -> revision -> value (None: deleted)."""
        for operation in operations:
            for key, value in _values(operation):
                if value is not None:
                    assert (key, value) not in self._writers, "values are unique"
                    self._writers[key, value] = operation
        self._deleters = [operation for operation in operations if _may_delete(operation)]
        done = [each for each in operations if each.outcome is Outcome.DONE and changed(each)]
        for operation in done:
            for key, value in _effects(operation):
                self._written.setdefault(key, {})[operation.revision] = value
        for operation in done:
            request, result = operation.request, operation.result
            if isinstance(result, DeleteRangeResult) and not result.more:
                assert isinstance(request, DeleteRange)
                for key, written in self._written.items():
                    if request.covers(key):
                        written[operation.revision] = None

    def check(self, done: list[Operation]) -> None:
        reads = [operation for operation in done if operation.rows is not None]
        for operation in reads:
            for key, record in (operation.rows or {}).items():
                self._learn(operation, key, record.value, record.mod_revision)
        for operation in done:
            for key, value, revision in _previous(operation):
                self._learn(operation, key, value, revision)
        history = {key: sorted(written.items()) for key, written in self._written.items()}
        for operation in reads:
            request = operation.request
            assert isinstance(request, Read)
            for key, written in history.items():
                if request.covers(key):
                    self._check_row(operation, key, written)

    def _learn(self, operation: Operation, key: bytes, value: bytes, revision: int) -> None:
        """A read tells the revision of a write, also of one whose answer never came."""
        writer = self._writers.get((key, value))
        if writer is None:
            raise Violation(f"{value!r} was never written to {key!r}: {operation}")
        if writer.outcome is Outcome.NOT_APPLIED:
            raise Violation(f"a write that was not applied was seen:\n  {writer}\n  {operation}")
        if writer.invoked > operation.returned:
            raise Violation(f"a write was seen before it was made:\n  {writer}\n  {operation}")
        if revision > operation.revision:
            raise Violation(f"a row is newer than its state: {operation}")
        known = self._written.setdefault(key, {}).setdefault(revision, value)
        if known != value or (writer.outcome is Outcome.DONE and writer.revision != revision):
            raise Violation(
                f"{value!r} at revision {revision} of {key!r}, known is {known!r}:\n  {writer}\n  {operation}"
            )

    def _check_row(self, operation: Operation, key: bytes, written: list[tuple[int, bytes | None]]) -> None:
        position = bisect_right(written, operation.revision, key=lambda each: each[0])
        record = (operation.rows or {}).get(key)
        if record is None:
            if position and written[position - 1][1] is not None:
                self._check_deleted(operation, key, written[position - 1][0])
            return
        first = bisect_left(written, record.mod_revision, key=lambda each: each[0])
        if position - first > 1:
            raise Violation(f"{key!r} was written at {written[first:position]}, but not seen: {operation}")

    def _check_deleted(self, read: Operation, key: bytes, written_at: int) -> None:
        """The key is absent although a value was written last, as far as is known: somebody may have
        deleted it in between without anybody having been told so."""
        for operation in self._deleters:
            if operation.invoked > read.returned or not _names(operation, key):
                continue
            if operation.outcome is Outcome.UNKNOWN or written_at < operation.revision <= read.revision:
                return
        raise Violation(f"{key!r} was written at {written_at} and is not seen: {read}")


def _may_delete(operation: Operation) -> bool:
    """Whether it may have deleted keys that its answer does not name."""
    match operation.request:
        case DeleteRange():
            return operation.outcome is not Outcome.NOT_APPLIED
        case Read():
            return False
        case _:
            return operation.outcome is Outcome.UNKNOWN and any(
                value is None for _, value in _effects(operation)
            )


def _names(operation: Operation, key: bytes) -> bool:
    if isinstance(operation.request, DeleteRange):
        return operation.request.covers(key)
    return any(each == key and value is None for each, value in _effects(operation))


def _values(operation: Operation) -> Iterator[tuple[bytes, bytes | None]]:
    match operation.request:
        case Put(key=key, value=value) | CompareAndSet(key=key, value=value):
            yield key, value
        case Batch(operations=operations):
            yield from operations
        case Txn(success=success, failure=failure):
            yield from _writes(success)
            yield from _writes(failure)
        case _:
            return


def _effects(operation: Operation) -> Iterator[tuple[bytes, bytes | None]]:
    match operation.request:
        case Delete(key=key):
            yield key, None
        case Batch(operations=operations):
            yield from dict(operations).items()
        case Txn() as txn:
            for branch in _branches(operation, txn):
                yield from dict(_writes(branch)).items()
        case _:
            yield from _values(operation)


def _branches(operation: Operation, txn: Txn) -> tuple[TxnOperations, ...]:
    """What was done of a transaction, or may have been."""
    if isinstance(operation.result, TxnResult):
        return (txn.success if operation.result.succeeded else txn.failure,)
    return txn.success, txn.failure


def _writes(operations: TxnOperations) -> Iterator[tuple[bytes, bytes | None]]:
    for operation in operations:
        match operation:
            case Put(key=key, value=value):
                yield key, value
            case Delete(key=key):
                yield key, None


def _previous(operation: Operation) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, value, revision) of rows that a write's answer shows."""
    match operation.request, operation.result:
        case ((Put(key=key) | Delete(key=key)), (PutResult(previous=record) | DeleteResult(previous=record))):
            if record is not None:
                yield key, record.value, record.mod_revision
        case CompareAndSet(key=key), CompareAndSetResult(current=record) if record is not None:
            yield key, record.value, record.mod_revision
        case Txn() as txn, TxnResult(results=results):
            is_change = changed(operation)
            (branch,) = _branches(operation, txn)
            for each, result in zip(branch, results, strict=True):
                match result:
                    case (
                        GetResult(record=record) | PutResult(previous=record) | DeleteResult(previous=record)
                    ):
                        # What the transaction itself has written on its way nobody else ever sees.
                        if record is not None and not (
                            is_change and record.mod_revision == operation.revision
                        ):
                            yield each.key, record.value, record.mod_revision
        case _:
            return
