"""What a transaction answered, as JSON and as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kvctl.encoding import to_cell
from kvctl.output import kv_object
from kvraft.client import (
    Delete,
    DeleteRange,
    DeleteRangeResult,
    DeleteResult,
    Get,
    GetResult,
    KeyRange,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnOperation,
    TxnOperationResult,
    TxnResult,
)

_Row = list[str]


def answer_object(asked: Txn, result: TxnResult, *, hexadecimal: bool) -> dict[str, Any]:
    """The JSON of a transaction, without its header."""
    results = [_object(operation, each, hexadecimal=hexadecimal) for operation, each in _done(asked, result)]
    return {"succeeded": result.succeeded, "results": results}


def answer_rows(asked: Txn, result: TxnResult, *, hexadecimal: bool, within: str = "") -> Iterator[_Row]:
    """Number, request, key and answer; those of a nested transaction are numbered 2.1, 2.2 and so on."""
    for number, (operation, each) in enumerate(_done(asked, result), 1):
        place = f"{within}{number}"
        if isinstance(operation, Txn):
            assert isinstance(each, TxnResult)
            yield [place, "txn", "", "succeeded" if each.succeeded else "the comparisons did not hold"]
            yield from answer_rows(operation, each, hexadecimal=hexadecimal, within=f"{place}.")
        else:
            for row in _rows(operation, each, hexadecimal=hexadecimal):
                yield [place, *row]


def _done(asked: Txn, result: TxnResult) -> Iterator[tuple[TxnOperation, TxnOperationResult]]:
    return zip(asked.success if result.succeeded else asked.failure, result.results, strict=True)


def _object(operation: TxnOperation, result: TxnOperationResult, *, hexadecimal: bool) -> dict[str, Any]:
    def kv(found: KeyValue | None, *, keys_only: bool = False) -> dict[str, Any] | None:
        return kv_object(found, hexadecimal=hexadecimal, keys_only=keys_only)

    match operation, result:
        case Put(), PutResult(previous=previous):
            return {"put": {"previous": kv(previous)}}
        case Delete(), DeleteResult(deleted=deleted, previous=previous):
            return {"delete": {"deleted": int(deleted), "previous": kv(previous)}}
        case DeleteRange(), DeleteRangeResult(deleted=count, more=more):
            return {"delete_range": {"deleted": count, "more": more}}
        case Get(), GetResult(kv=found):
            return {"get": {"kv": kv(found)}}
        case Range(keys_only=keys_only), RangeResult(kvs=kvs, count=count):
            return {"range": {"kvs": [kv(each, keys_only=keys_only) for each in kvs], "count": count}}
        case Txn(), TxnResult():
            return {"txn": answer_object(operation, result, hexadecimal=hexadecimal)}
        case _:
            raise AssertionError(f"{operation} was answered by {result}")


def _rows(operation: TxnOperation, result: TxnOperationResult, *, hexadecimal: bool) -> Iterator[_Row]:
    def shown(data: bytes) -> str:
        return to_cell(data, hexadecimal=hexadecimal)

    def before(previous: KeyValue | None) -> str:
        return f", previous {shown(previous.value)}" if previous else ""

    def span(keys: KeyRange) -> str:
        return f"{shown(keys.start)} .. {shown(keys.end)}".strip()

    match operation, result:
        case Put(key=key), PutResult(previous=previous):
            yield ["put", shown(key), f"stored{before(previous)}"]
        case Delete(key=key), DeleteResult(deleted=deleted, previous=previous):
            yield ["del", shown(key), f"deleted{before(previous)}" if deleted else "does not exist"]
        case DeleteRange(keys=keys), DeleteRangeResult(deleted=count, more=is_more):
            yield ["del", span(keys), f"{count:,} deleted{', there are more' if is_more else ''}"]
        case Get(key=key), GetResult(kv=found):
            yield ["get", shown(key), shown(found.value) if found else "does not exist"]
        case Range(keys=keys, count_only=True), RangeResult(count=count):
            yield ["count", span(keys), f"{count:,} keys"]
        case Range(keys=keys), RangeResult(kvs=kvs, count=count):
            more = ", there are more" if count > len(kvs) else ""
            yield ["get", span(keys), f"{len(kvs):,} keys{more}"]
            for each in kvs:
                yield ["", shown(each.key), shown(each.value)]
        case _:
            raise AssertionError(f"{operation} was answered by {result}")
