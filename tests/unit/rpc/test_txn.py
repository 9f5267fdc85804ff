"""Txn of KvService: what it answers, what it puts into the log, and every rule of its requests."""

from __future__ import annotations

from typing import Any

import pytest

from kvraft.v1 import command_pb2, common_pb2, kv_pb2
from tests.unit.rpc.conftest import Failed, Service
from tests.unit.rpc.fake_node import put_rows

Compare = kv_pb2.Compare
Operation = kv_pb2.TxnOperation
Txn = kv_pb2.TxnRequest

REQUEST_BYTES_MAX = 4 << 20
EXISTS = Compare(key=b"k", exists=True)
LESS, GREATER = Compare.RELATION_LESS, Compare.RELATION_GREATER


def txn(service: Service, request: Txn) -> kv_pb2.TxnResponse:
    return service.call(service.kv.Txn, request)


def put(key: bytes, value: bytes = b"v", **fields: Any) -> Operation:
    return Operation(put=kv_pb2.PutRequest(key=key, value=value, **fields))


def get(key: bytes) -> Operation:
    return Operation(get=kv_pb2.GetRequest(key=key))


def nested(*success: Operation, **fields: Any) -> Operation:
    return Operation(txn=Txn(success=success, **fields))


def deep(levels: int) -> Txn:
    """So many transactions inside each other."""
    request = Txn(success=[put(b"k")])
    for _ in range(levels - 1):
        request = Txn(success=[Operation(txn=request)])
    return request


def logged(service: Service) -> command_pb2.Command:
    ((command, _),) = service.node.log
    return command_pb2.Command.FromString(command)


def refused(service: Service, request: Txn, field: str) -> str:
    """The request must be refused because of this field, before anything reached the log."""
    with pytest.raises(Failed) as raised:
        txn(service, request)
    failed = raised.value
    assert (failed.code.name, failed.reason, failed.applied) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", "no")
    assert failed.field == field
    assert failed.message.startswith(f"{field} ")
    assert service.node.log == []
    return failed.message


# --- answers ----------------------------------------------------------------------------------------


def test_every_kind_of_operation_is_answered_by_its_kind(service: Service) -> None:
    put_rows(service.node, 3)
    request = Txn(
        compares=[Compare(key=b"key000000", relation=GREATER, version=0)],
        success=[
            put(b"key000000", b"2", return_previous=True),
            get(b"key000000"),
            get(b"none"),
            Operation(delete=kv_pb2.DeleteRequest(key=b"key000001", return_previous=True)),
            Operation(range=kv_pb2.RangeRequest(page_size=1, reverse=True)),
            Operation(range=kv_pb2.RangeRequest(count_only=True)),
            Operation(delete_range=kv_pb2.DeleteRangeRequest(limit=1)),
            nested(put(b"never"), compares=[EXISTS], failure=[put(b"new")]),
        ],
    )
    response = txn(service, request)
    assert (response.header.revision, response.header.member_id) == (2, 1)
    assert response.succeeded
    previous = kv_pb2.KeyValue(key=b"key000000", value=b"v", create_revision=1, mod_revision=1, version=1)
    written = kv_pb2.KeyValue(key=b"key000000", value=b"2", create_revision=1, mod_revision=2, version=2)
    deleted = kv_pb2.KeyValue(key=b"key000001", value=b"v", create_revision=1, mod_revision=1, version=1)
    last = kv_pb2.KeyValue(key=b"key000002", value=b"v", create_revision=1, mod_revision=1, version=1)
    assert list(response.results) == [
        kv_pb2.TxnResult(put=kv_pb2.PutResponse(previous=previous)),
        kv_pb2.TxnResult(get=kv_pb2.GetResponse(kv=written)),
        kv_pb2.TxnResult(get=kv_pb2.GetResponse()),
        kv_pb2.TxnResult(delete=kv_pb2.DeleteResponse(deleted=True, previous=deleted)),
        kv_pb2.TxnResult(range=kv_pb2.RangeResponse(kvs=[last], count=2)),
        kv_pb2.TxnResult(range=kv_pb2.RangeResponse(count=2)),
        kv_pb2.TxnResult(delete_range=kv_pb2.DeleteRangeResponse(deleted=1, more=True)),
        kv_pb2.TxnResult(
            txn=kv_pb2.TxnResponse(succeeded=False, results=[kv_pb2.TxnResult(put=kv_pb2.PutResponse())])
        ),
    ]


def test_the_other_branch_is_answered_when_a_comparison_fails(service: Service) -> None:
    put_rows(service.node, 1)
    response = txn(service, Txn(compares=[EXISTS], success=[put(b"k")], failure=[get(b"key000000")]))
    assert (response.succeeded, response.header.revision) == (False, 1)
    assert response.results[0].get.kv.value == b"v"


def test_an_empty_transaction_succeeds(service: Service) -> None:
    assert txn(service, Txn()) == kv_pb2.TxnResponse(header=txn(service, Txn()).header, succeeded=True)


def test_a_missing_lease_is_told_as_not_applied(service: Service) -> None:
    with pytest.raises(Failed) as raised:
        txn(service, Txn(success=[put(b"a"), put(b"b", lease_id=9)]))
    failed = raised.value
    assert (failed.code.name, failed.reason, failed.applied) == ("NOT_FOUND", "LEASE_NOT_FOUND", "no")
    assert not txn(service, Txn(success=[get(b"a")])).results[0].get.HasField("kv")


def test_a_range_that_is_too_large_is_told_as_not_applied(service: Service) -> None:
    put_rows(service.node, 1_001)
    compare = Compare(range=kv_pb2.KeyRange(prefix=b"key"), relation=GREATER, version=0)
    with pytest.raises(Failed) as raised:
        txn(service, Txn(success=[put(b"a"), nested(compares=[compare])]))
    failed = raised.value
    assert (failed.code.name, failed.reason, failed.applied) == (
        "RESOURCE_EXHAUSTED",
        "RANGE_TOO_LARGE",
        "no",
    )
    assert not txn(service, Txn(success=[get(b"a")])).results[0].get.HasField("kv")


def test_the_largest_answer_fits_a_response(service: Service) -> None:
    values = [b"v" * (1 << 20), b"v" * (1 << 20), b"v" * ((1 << 20) - 3 * (64 + 1))]
    for key, value in zip((b"a", b"b", b"c"), values, strict=True):
        txn(service, Txn(success=[put(key, value)]))
    response = txn(service, Txn(success=[get(b"a"), get(b"b"), get(b"c")]))
    assert [len(result.get.kv.value) for result in response.results] == list(map(len, values))


def test_a_numbered_transaction_is_done_once(service: Service) -> None:
    register = command_pb2.Command(register_client={}).SerializeToString()
    client_id = service.runner.run(service.node.write(register, grows_state=False)).result.client_id
    request = Txn(
        compares=[Compare(key=b"a", exists=False)],
        success=[put(b"a"), get(b"a")],
        request_id=common_pb2.RequestId(client_id=client_id, sequence=1),
    )
    first = txn(service, request)
    assert first.succeeded
    assert txn(service, request) == first
    request.request_id.sequence = 2
    assert not txn(service, request).succeeded


# --- the command ------------------------------------------------------------------------------------


def test_what_is_not_said_gets_its_default(service: Service) -> None:
    txn(
        service,
        Txn(
            compares=[
                Compare(key=b"k", exists=False),
                Compare(range=kv_pb2.KeyRange(prefix=b"p"), version=0),
            ],
            success=[
                Operation(range=kv_pb2.RangeRequest()),
                Operation(range=kv_pb2.RangeRequest(count_only=True)),
                Operation(range=kv_pb2.RangeRequest(count_only=True, page_size=7)),
                Operation(delete_range=kv_pb2.DeleteRangeRequest(range=kv_pb2.KeyRange(start=b"a"))),
                nested(),
            ],
        ),
    )
    compare = command_pb2.TxnCommand.Compare
    operation = command_pb2.TxnCommand.Operation
    assert logged(service).txn == command_pb2.TxnCommand(
        compares=[
            compare(start=b"k", relation=1, exists=False),
            compare(start=b"p", end=b"q", is_range=True, relation=1, version=0),
        ],
        success=[
            operation(range={"limit": 100}),
            operation(range={"limit": 1_000, "count_only": True}),
            operation(range={"limit": 7, "count_only": True}),
            operation(delete_range={"start": b"a", "limit": 10_000}),
            operation(txn={}),
        ],
    )


def test_only_what_can_grow_the_state_says_so(service: Service) -> None:
    delete = Operation(delete=kv_pb2.DeleteRequest(key=b"k"))
    for request in (
        Txn(success=[delete, get(b"k")]),
        Txn(success=[delete, put(b"k")]),
        Txn(failure=[put(b"k")]),
        Txn(failure=[nested(delete, failure=[put(b"k")])]),
    ):
        txn(service, request)
    assert [grows for _, grows in service.node.log] == [False, True, True, True]


# --- rules ------------------------------------------------------------------------------------------

LONG_KEY, LONG_VALUE = b"k" * 481, b"v" * ((1 << 20) + 1)
REQUEST_ID = common_pb2.RequestId(client_id=1, sequence=1)
SWAPPED = kv_pb2.KeyRange(start=b"b", end=b"a")
COMPARES = {
    "no target": (Compare(version=1), "target"),
    "no operand": (Compare(key=b"k"), "operand"),
    "empty key": (Compare(key=b"", version=1), "key"),
    "long key": (Compare(key=LONG_KEY, version=1), "key"),
    "swapped range": (Compare(range=SWAPPED, version=1), "range.end"),
    "prefix and start": (Compare(range=kv_pb2.KeyRange(prefix=b"a", start=b"a"), version=1), "range.prefix"),
    "unknown relation": (Compare(key=b"k", version=1, relation=5), "relation"),
    "negative relation": (Compare(key=b"k", version=1, relation=-1), "relation"),
    "exists less": (Compare(key=b"k", exists=True, relation=LESS), "relation"),
    "exists greater": (Compare(key=b"k", exists=False, relation=GREATER), "relation"),
    "exists of a range": (Compare(range=kv_pb2.KeyRange(prefix=b"a"), exists=True), "exists"),
    "large value": (Compare(key=b"k", value=LONG_VALUE), "value"),
}
OPERATIONS = {
    "nothing": (Operation(), ""),
    "put key": (put(LONG_KEY), ".put.key"),
    "put value": (put(b"k", LONG_VALUE), ".put.value"),
    "put number": (put(b"k", request_id=REQUEST_ID), ".put.request_id"),
    "put empty number": (put(b"k", request_id=common_pb2.RequestId()), ".put.request_id"),
    "delete key": (Operation(delete=kv_pb2.DeleteRequest()), ".delete.key"),
    "delete number": (
        Operation(delete=kv_pb2.DeleteRequest(key=b"k", request_id=REQUEST_ID)),
        ".delete.request_id",
    ),
    "delete_range range": (
        Operation(delete_range=kv_pb2.DeleteRangeRequest(range=SWAPPED)),
        ".delete_range.range.end",
    ),
    "delete_range limit": (
        Operation(delete_range=kv_pb2.DeleteRangeRequest(limit=10_001)),
        ".delete_range.limit",
    ),
    "delete_range number": (
        Operation(delete_range=kv_pb2.DeleteRangeRequest(request_id=REQUEST_ID)),
        ".delete_range.request_id",
    ),
    "get key": (get(b""), ".get.key"),
    "get consistency": (
        Operation(get=kv_pb2.GetRequest(key=b"k", consistency=common_pb2.CONSISTENCY_STALE)),
        ".get.consistency",
    ),
    "get revision": (Operation(get=kv_pb2.GetRequest(key=b"k", min_revision=1)), ".get.min_revision"),
    "range range": (Operation(range=kv_pb2.RangeRequest(range=SWAPPED)), ".range.range.end"),
    "range size": (Operation(range=kv_pb2.RangeRequest(page_size=1_001)), ".range.page_size"),
    "count size": (
        Operation(range=kv_pb2.RangeRequest(page_size=1_001, count_only=True)),
        ".range.page_size",
    ),
    "range token": (Operation(range=kv_pb2.RangeRequest(page_token="x")), ".range.page_token"),
    "range consistency": (
        Operation(range=kv_pb2.RangeRequest(consistency=common_pb2.CONSISTENCY_LINEARIZABLE)),
        ".range.consistency",
    ),
    "range revision": (Operation(range=kv_pb2.RangeRequest(min_revision=1)), ".range.min_revision"),
    "txn number": (nested(request_id=REQUEST_ID), ".txn.request_id"),
    "txn compare": (nested(compares=[EXISTS, Compare()]), ".txn.compares[1].target"),
    "txn operation": (nested(put(b"k"), put(b"")), ".txn.success[1].put.key"),
    "txn failure": (nested(failure=[nested(get(b""))]), ".txn.failure[0].txn.success[0].get.key"),
}


@pytest.mark.parametrize(("compare", "field"), COMPARES.values(), ids=COMPARES.keys())
def test_a_compare_that_cannot_be_is_refused(service: Service, compare: Compare, field: str) -> None:
    refused(service, Txn(compares=[EXISTS, compare]), f"compares[1].{field}")


@pytest.mark.parametrize(("operation", "field"), OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_that_cannot_be_is_refused_in_both_branches(
    service: Service, operation: Operation, field: str
) -> None:
    refused(service, Txn(success=[put(b"a"), put(b"b"), operation]), f"success[2]{field}")
    refused(service, Txn(failure=[operation]), f"failure[0]{field}")


def test_a_number_must_be_whole(service: Service) -> None:
    refused(service, Txn(request_id=common_pb2.RequestId(sequence=1)), "request_id.client_id")
    refused(service, Txn(request_id=common_pb2.RequestId(client_id=1)), "request_id.sequence")


def test_128_compares_and_operations_are_counted_through_all_levels(service: Service) -> None:
    request = Txn(
        compares=[EXISTS] * 30,
        success=[put(b"k")] * 30 + [nested(*[get(b"k")] * 20, compares=[EXISTS] * 9)],
        failure=[nested(failure=[get(b"k")] * 37)],
    )
    assert txn(service, request).header.revision == 0
    service.node.log.clear()
    request.failure.append(get(b"k"))
    assert "128" in refused(service, request, "failure[1]")
    request.compares.append(EXISTS)
    refused(service, request, "failure[0].txn.failure[36]")
    refused(service, Txn(success=[put(b"k")] * 129), "success[128]")
    refused(service, Txn(compares=[EXISTS] * 129), "compares[128]")


def test_8_transactions_are_inside_each_other(service: Service) -> None:
    response = txn(service, deep(8))
    for _ in range(7):
        response = response.results[0].txn
    assert response.results[0].HasField("put")
    service.node.log.clear()
    refused(service, deep(9), "success[0].txn." * 7 + "success[0].txn")


def test_a_request_holds_4_mib(service: Service) -> None:
    def request_of(size_bytes: int) -> Txn:
        large = b"v" * (1 << 20)
        request = Txn(success=[put(b"a", large)] * 3, failure=[put(b"b", large[: 1 << 19])] * 2)
        last = request.failure[-1].put
        last.value = last.value[: size_bytes - request.ByteSize()]
        assert request.ByteSize() == size_bytes
        return request

    assert "4,194,305" in refused(service, request_of(REQUEST_BYTES_MAX + 1), "success")
    assert txn(service, request_of(REQUEST_BYTES_MAX)).succeeded
