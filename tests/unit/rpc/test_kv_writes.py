"""The writes of KvService: what they answer, what they put into the log, and every limit."""

from __future__ import annotations

import pytest

from kvraft.v1 import command_pb2, kv_pb2
from tests.unit.rpc.conftest import Failed, Service
from tests.unit.rpc.fake_node import CLUSTER_ID, put_rows

KEY_BYTES_MAX = 480
VALUE_BYTES_MAX = 1 << 20
REQUEST_BYTES_MAX = 4 << 20


def put(service: Service, key: bytes, value: bytes = b"v", *, return_previous: bool = False):
    request = kv_pb2.PutRequest(key=key, value=value, return_previous=return_previous)
    return service.call(service.kv.Put, request)


def get(service: Service, key: bytes) -> kv_pb2.GetResponse:
    return service.call(service.kv.Get, kv_pb2.GetRequest(key=key))


def batch(service: Service, *operations: kv_pb2.WriteOperation):
    return service.call(service.kv.BatchWrite, kv_pb2.BatchWriteRequest(operations=operations))


def put_operation(key: bytes, value: bytes = b"v") -> kv_pb2.WriteOperation:
    return kv_pb2.WriteOperation(put=kv_pb2.PutOperation(key=key, value=value))


def delete_operation(key: bytes) -> kv_pb2.WriteOperation:
    return kv_pb2.WriteOperation(delete=kv_pb2.DeleteOperation(key=key))


def refused(service: Service, method, request, field: str) -> str:
    """The request must be refused because of this field, before anything reached the log."""
    with pytest.raises(Failed) as raised:
        service.call(method, request)
    failed = raised.value
    assert (failed.code.name, failed.reason, failed.applied) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", "no")
    assert failed.field == field
    assert failed.message.startswith(field)
    assert service.node.log == []
    return failed.message


def test_a_put_answers_with_its_revision_and_header(service: Service) -> None:
    answer = put(service, b"a", b"1")
    assert answer.header.cluster_id == CLUSTER_ID
    assert (answer.header.member_id, answer.header.leader_id, answer.header.term) == (1, 3, 2)
    assert answer.header.revision == 1
    assert not answer.HasField("previous")
    assert put(service, b"a", b"2").header.revision == 2


def test_a_node_without_a_leader_says_leader_0(service: Service) -> None:
    service.node.replica.raft.leader_id = None
    assert put(service, b"a").header.leader_id == 0


def test_a_put_returns_what_the_key_held_if_asked(service: Service) -> None:
    assert not put(service, b"a", b"1", return_previous=True).HasField("previous")
    previous = put(service, b"a", b"2", return_previous=True).previous
    assert previous == kv_pb2.KeyValue(key=b"a", value=b"1", create_revision=1, mod_revision=1, version=1)
    assert not put(service, b"a", b"3").HasField("previous")


def test_a_delete_tells_whether_the_key_existed(service: Service) -> None:
    put(service, b"a", b"1")
    answer = service.call(service.kv.Delete, kv_pb2.DeleteRequest(key=b"a", return_previous=True))
    assert (answer.deleted, answer.previous.value, answer.header.revision) == (True, b"1", 2)
    answer = service.call(service.kv.Delete, kv_pb2.DeleteRequest(key=b"a", return_previous=True))
    assert (answer.deleted, answer.HasField("previous"), answer.header.revision) == (False, False, 2)


def test_a_range_is_deleted_up_to_its_limit(service: Service) -> None:
    keys = put_rows(service.node, 5)
    put(service, b"other")
    request = kv_pb2.DeleteRangeRequest(range=kv_pb2.KeyRange(prefix=b"key"), limit=3)
    answer = service.call(service.kv.DeleteRange, request)
    assert (answer.deleted, answer.more, answer.header.revision) == (3, True, 3)
    answer = service.call(service.kv.DeleteRange, request)
    assert (answer.deleted, answer.more) == (2, False)
    assert not get(service, keys[-1]).HasField("kv")
    assert get(service, b"other").HasField("kv")


def test_the_default_limit_of_a_deletion_is_the_largest(service: Service) -> None:
    service.call(service.kv.DeleteRange, kv_pb2.DeleteRangeRequest())
    ((command, _),) = service.node.log
    assert command_pb2.Command.FromString(command).delete_range.limit == 10_000


def test_compare_and_set(service: Service) -> None:
    def cas(expected: int, **update: object) -> kv_pb2.CompareAndSetResponse:
        request = kv_pb2.CompareAndSetRequest(key=b"a", expected_revision=expected, **update)
        return service.call(service.kv.CompareAndSet, request)

    assert cas(0, value=b"1").succeeded
    lost = cas(0, value=b"2")
    assert (lost.succeeded, lost.current.value, lost.current.mod_revision) == (False, b"1", 1)
    assert lost.header.revision == 1
    assert cas(1, value=b"").succeeded
    assert cas(2, delete=True).succeeded
    lost = cas(2, delete=True)
    assert (lost.succeeded, lost.HasField("current")) == (False, False)


def test_a_batch_is_one_revision(service: Service) -> None:
    answer = batch(service, put_operation(b"a"), delete_operation(b"a"), delete_operation(b"b"))
    assert list(answer.existed) == [False, True, False]
    assert answer.header.revision == 1
    assert not get(service, b"a").HasField("kv")


def test_only_what_can_grow_the_state_says_so(service: Service) -> None:
    put(service, b"a")
    service.call(service.kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=b"b", value=b""))
    batch(service, delete_operation(b"x"), put_operation(b"a"))
    service.call(service.kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=b"b", delete=True))
    batch(service, delete_operation(b"x"))
    service.call(service.kv.Delete, kv_pb2.DeleteRequest(key=b"a"))
    service.call(service.kv.DeleteRange, kv_pb2.DeleteRangeRequest())
    assert [grows for _, grows in service.node.log] == [True, True, True, False, False, False, False]


# --- limits -----------------------------------------------------------------------------------------


def test_the_longest_key_is_taken_everywhere(service: Service) -> None:
    key = b"k" * KEY_BYTES_MAX
    put(service, key)
    assert get(service, key).kv.key == key
    batch(service, put_operation(key), delete_operation(key))
    service.call(service.kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=key, value=b"1"))
    assert service.call(service.kv.Delete, kv_pb2.DeleteRequest(key=key)).deleted


@pytest.mark.parametrize("key", [b"", b"k" * (KEY_BYTES_MAX + 1)], ids=["empty", "too long"])
def test_a_key_that_cannot_be_is_refused_everywhere(service: Service, key: bytes) -> None:
    kv = service.kv
    message = refused(service, kv.Put, kv_pb2.PutRequest(key=key), "key")
    assert message == f"key has {len(key)} bytes; a key has 1 to 480"
    refused(service, kv.Get, kv_pb2.GetRequest(key=key), "key")
    refused(service, kv.Delete, kv_pb2.DeleteRequest(key=key), "key")
    refused(service, kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=key, value=b""), "key")
    for operation, field in (
        (put_operation(key), "operations[1].put.key"),
        (delete_operation(key), "operations[1].delete.key"),
    ):
        refused(
            service,
            kv.BatchWrite,
            kv_pb2.BatchWriteRequest(operations=[put_operation(b"a"), operation]),
            field,
        )


def test_the_largest_value_is_taken_everywhere(service: Service) -> None:
    value = b"v" * VALUE_BYTES_MAX
    put(service, b"a", value)
    assert get(service, b"a").kv.value == value
    batch(service, put_operation(b"a", value))
    request = kv_pb2.CompareAndSetRequest(key=b"b", value=value)
    assert service.call(service.kv.CompareAndSet, request).succeeded


def test_a_value_that_is_too_large_is_refused_everywhere(service: Service) -> None:
    kv, value = service.kv, b"v" * (VALUE_BYTES_MAX + 1)
    refused(service, kv.Put, kv_pb2.PutRequest(key=b"a", value=value), "value")
    refused(service, kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=b"a", value=value), "value")
    operations = [put_operation(b"a", value)]
    refused(
        service, kv.BatchWrite, kv_pb2.BatchWriteRequest(operations=operations), "operations[0].put.value"
    )


def test_a_batch_holds_1_to_1000_operations(service: Service) -> None:
    operations = [put_operation(b"%d" % number) for number in range(1_001)]
    refused(service, service.kv.BatchWrite, kv_pb2.BatchWriteRequest(), "operations")
    refused(service, service.kv.BatchWrite, kv_pb2.BatchWriteRequest(operations=operations), "operations")
    assert len(batch(service, *operations[:1_000]).existed) == 1_000
    assert len(batch(service, operations[0]).existed) == 1


def test_a_request_holds_4_mib(service: Service) -> None:
    def request_of(size_bytes: int) -> kv_pb2.BatchWriteRequest:
        values = [b"v" * VALUE_BYTES_MAX] * 3 + [b"v" * (VALUE_BYTES_MAX >> 1)] * 2
        operations = [put_operation(b"%d" % number, value) for number, value in enumerate(values)]
        request = kv_pb2.BatchWriteRequest(operations=operations)
        last = request.operations[-1].put
        last.value = last.value[: size_bytes - request.ByteSize()]
        assert request.ByteSize() == size_bytes
        return request

    too_large = request_of(REQUEST_BYTES_MAX + 1)
    assert "4,194,305" in refused(service, service.kv.BatchWrite, too_large, "operations")
    assert len(service.call(service.kv.BatchWrite, request_of(REQUEST_BYTES_MAX)).existed) == 5


def test_an_operation_that_says_nothing_is_refused(service: Service) -> None:
    request = kv_pb2.BatchWriteRequest(operations=[put_operation(b"a"), kv_pb2.WriteOperation()])
    refused(service, service.kv.BatchWrite, request, "operations[1]")
    refused(service, service.kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=b"a"), "update")
    refused(service, service.kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=b"a", delete=False), "delete")


def test_a_deletion_is_limited_to_10000_keys(service: Service) -> None:
    refused(service, service.kv.DeleteRange, kv_pb2.DeleteRangeRequest(limit=10_001), "limit")
    service.call(service.kv.DeleteRange, kv_pb2.DeleteRangeRequest(limit=10_000))


RANGES = {
    "prefix and start": (kv_pb2.KeyRange(prefix=b"a", start=b"a"), "range.prefix"),
    "prefix and end": (kv_pb2.KeyRange(prefix=b"a", end=b"b"), "range.prefix"),
    "long prefix": (kv_pb2.KeyRange(prefix=b"p" * 481), "range.prefix"),
    "long start": (kv_pb2.KeyRange(start=b"s" * 482), "range.start"),
    "long end": (kv_pb2.KeyRange(end=b"e" * 482), "range.end"),
    "equal bounds": (kv_pb2.KeyRange(start=b"a", end=b"a"), "range.end"),
    "swapped bounds": (kv_pb2.KeyRange(start=b"b", end=b"a"), "range.end"),
}


@pytest.mark.parametrize(("key_range", "field"), RANGES.values(), ids=RANGES.keys())
def test_a_range_that_cannot_be_is_refused_everywhere(
    service: Service, key_range: kv_pb2.KeyRange, field: str
) -> None:
    kv = service.kv
    refused(service, kv.DeleteRange, kv_pb2.DeleteRangeRequest(range=key_range), field)
    refused(service, kv.Range, kv_pb2.RangeRequest(range=key_range), field)
    refused(service, kv.StreamRange, kv_pb2.StreamRangeRequest(range=key_range), field)


@pytest.mark.parametrize(
    "key_range",
    [
        kv_pb2.KeyRange(prefix=b"p" * 480),
        kv_pb2.KeyRange(prefix=b"\xff" * 480),
        kv_pb2.KeyRange(start=b"s" * 481),
        kv_pb2.KeyRange(end=b"e" * 481),
        kv_pb2.KeyRange(start=b"a", end=b"a\0"),
        kv_pb2.KeyRange(start=b"a"),
        kv_pb2.KeyRange(),
    ],
)
def test_a_range_at_its_limits_is_taken_everywhere(service: Service, key_range: kv_pb2.KeyRange) -> None:
    kv = service.kv
    assert service.call(kv.DeleteRange, kv_pb2.DeleteRangeRequest(range=key_range)).deleted == 0
    assert not service.call(kv.Range, kv_pb2.RangeRequest(range=key_range)).kvs
    assert len(service.call(kv.StreamRange, kv_pb2.StreamRangeRequest(range=key_range))) == 1
