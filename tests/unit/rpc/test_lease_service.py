"""LeaseService: what it accepts, what it writes into the log, and what it answers."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kvraft import errors
from kvraft.machine.machine import Machine
from kvraft.node.renewals import Renewals
from kvraft.v1 import command_pb2, common_pb2, kv_pb2, lease_pb2
from tests.unit.rpc.conftest import Failed, Service
from tests.unit.rpc.fake_node import FakeNode

YEAR_MS = 366 * 24 * 3600 * 1000
Renewal = lease_pb2.KeepAliveLeasesResponse.Renewal


def grant(service: Service, ttl_ms: int = 10_000, lease_id: int = 0) -> int:
    request = lease_pb2.GrantLeaseRequest(ttl_ms=ttl_ms, lease_id=lease_id)
    return service.call(service.lease.GrantLease, request).lease.lease_id


def put(service: Service, key: bytes, lease_id: int) -> None:
    service.call(service.kv.Put, kv_pb2.PutRequest(key=key, value=b"v", lease_id=lease_id))


def test_a_grant_answers_with_the_lease(service: Service) -> None:
    answer = service.call(service.lease.GrantLease, lease_pb2.GrantLeaseRequest(ttl_ms=5_000))

    assert answer.lease == lease_pb2.Lease(lease_id=1, ttl_ms=5_000, remaining_ms=5_000, create_revision=1)
    assert (answer.header.revision, answer.header.member_id) == (1, 1)
    assert [grows for _, grows in service.node.log] == [True]


@pytest.mark.parametrize("ttl_ms", [1_000, YEAR_MS])
def test_the_shortest_and_the_longest_life(service: Service, ttl_ms: int) -> None:
    assert grant(service, ttl_ms) == 1


@pytest.mark.parametrize("ttl_ms", [0, 999, YEAR_MS + 1])
def test_a_life_beyond_the_limits_is_refused(service: Service, ttl_ms: int) -> None:
    with pytest.raises(Failed) as failed:
        grant(service, ttl_ms)

    assert (failed.value.code, failed.value.field) == (grpc.StatusCode.INVALID_ARGUMENT, "ttl_ms")
    assert service.node.log == []


def test_an_id_in_use_is_refused(service: Service) -> None:
    grant(service, lease_id=7)

    with pytest.raises(Failed) as failed:
        grant(service, lease_id=7)

    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LEASE_EXISTS")
    assert failed.value.applied == "no"


def test_numbered_writes_are_applied_once(service: Service) -> None:
    registration = command_pb2.Command(register_client={}).SerializeToString()
    service.runner.run(service.node.write(registration, grows_state=True))
    request = lease_pb2.GrantLeaseRequest(
        ttl_ms=5_000, request_id=common_pb2.RequestId(client_id=1, sequence=1)
    )
    revocation = lease_pb2.RevokeLeaseRequest(
        lease_id=2, request_id=common_pb2.RequestId(client_id=1, sequence=2)
    )

    for method, numbered in (
        (service.lease.GrantLease, request),
        (service.lease.RevokeLease, revocation),
    ):
        assert service.call(method, numbered) == service.call(method, numbered)
    assert service.node.replica.machine.revision == 3


def test_a_renewal_gives_the_full_time_again(service: Service) -> None:
    lease_id = grant(service)
    service.node.wall_ms += 9_000
    assert get(service, lease_id).lease.remaining_ms == 1_000

    answer = service.call(service.lease.KeepAliveLease, lease_pb2.KeepAliveLeaseRequest(lease_id=lease_id))

    assert (answer.ttl_ms, answer.header.revision) == (10_000, 1)
    assert get(service, lease_id).lease.remaining_ms == 10_000


def test_renewals_are_possible_when_the_disk_is_nearly_full(service: Service) -> None:
    lease_id = grant(service)
    service.call(service.lease.KeepAliveLease, lease_pb2.KeepAliveLeaseRequest(lease_id=lease_id))
    service.call(service.lease.RevokeLease, lease_pb2.RevokeLeaseRequest(lease_id=lease_id))

    assert [grows for _, grows in service.node.log] == [True, False, False]


@pytest.mark.parametrize("method", ["KeepAliveLease", "RevokeLease", "GetLease"])
def test_what_does_not_exist_is_not_found(service: Service, method: str) -> None:
    request_type = getattr(lease_pb2, f"{method}Request")
    with pytest.raises(Failed) as failed:
        service.call(getattr(service.lease, method), request_type(lease_id=9))

    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "LEASE_NOT_FOUND")
    assert failed.value.applied == "no"
    with pytest.raises(Failed) as failed:
        service.call(getattr(service.lease, method), request_type())
    assert failed.value.field == "lease_id"


def test_a_revocation_deletes_the_keys(service: Service) -> None:
    lease_id = grant(service)
    for key in (b"a", b"b"):
        put(service, key, lease_id)

    answer = service.call(service.lease.RevokeLease, lease_pb2.RevokeLeaseRequest(lease_id=lease_id))

    assert (answer.deleted, answer.header.revision) == (2, 4)
    assert not service.call(service.kv.Get, kv_pb2.GetRequest(key=b"a")).HasField("kv")


def get(service: Service, lease_id: int, **fields: object) -> lease_pb2.GetLeaseResponse:
    request = lease_pb2.GetLeaseRequest(lease_id=lease_id, **fields)
    answer: lease_pb2.GetLeaseResponse = service.call(service.lease.GetLease, request)
    return answer


def test_a_lease_is_shown_with_its_keys_if_they_are_asked_for(service: Service) -> None:
    lease_id = grant(service)
    for key in (b"b", b"a"):
        put(service, key, lease_id)

    assert list(get(service, lease_id).keys) == []
    shown = get(service, lease_id, keys=True)
    assert (list(shown.keys), shown.more_keys, shown.header.revision) == ([b"a", b"b"], False, 3)


def test_the_keys_that_are_shown_are_limited(service: Service) -> None:
    lease_id = grant(service)
    keys = [b"%0480d" % number for number in range(6_600)]
    for first in range(0, len(keys), 1_000):
        operations = [
            kv_pb2.WriteOperation(put=kv_pb2.PutOperation(key=key, lease_id=lease_id))
            for key in keys[first : first + 1_000]
        ]
        service.call(service.kv.BatchWrite, kv_pb2.BatchWriteRequest(operations=operations))

    shown = get(service, lease_id, keys=True)

    assert shown.more_keys
    assert list(shown.keys) == keys[: (3 << 20) // 480]


def test_remaining_time_is_never_negative(service: Service) -> None:
    lease_id = grant(service)
    service.node.wall_ms += 20_000

    assert get(service, lease_id).lease.remaining_ms == 0


def test_reads_wait_as_they_are_told(service: Service) -> None:
    lease_id = grant(service)
    get(service, lease_id)
    get(service, lease_id, consistency=common_pb2.CONSISTENCY_STALE)
    get(service, lease_id, consistency=common_pb2.CONSISTENCY_AT_LEAST, min_revision=1)
    service.call(service.lease.ListLeases, lease_pb2.ListLeasesRequest())
    service.call(
        service.lease.ListLeases,
        lease_pb2.ListLeasesRequest(consistency=common_pb2.CONSISTENCY_AT_LEAST, min_revision=1),
    )

    assert service.node.waits == ["fresh", "at least 1", "fresh", "at least 1"]
    for method, request in (
        (service.lease.GetLease, lease_pb2.GetLeaseRequest(lease_id=1, min_revision=1)),
        (service.lease.ListLeases, lease_pb2.ListLeasesRequest(min_revision=1)),
    ):
        with pytest.raises(Failed) as failed:
            service.call(method, request)
        assert failed.value.field == "min_revision"


def test_leases_are_listed_by_id_in_pages(service: Service) -> None:
    for lease_id in (30, 10, 20, (1 << 64) - 1):
        grant(service, lease_id=lease_id)

    request = lease_pb2.ListLeasesRequest(page_size=3)
    first = service.call(service.lease.ListLeases, request)
    request.page_token = first.next_page_token
    second = service.call(service.lease.ListLeases, request)

    assert [lease.lease_id for lease in first.leases] == [10, 20, 30]
    assert [lease.lease_id for lease in second.leases] == [(1 << 64) - 1]
    assert second.next_page_token == ""
    assert service.node.waits == ["fresh", "at least 4"]


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "é"])
def test_a_token_of_somebody_else_is_refused(service: Service, token: str) -> None:
    with pytest.raises(Failed) as failed:
        service.call(service.lease.ListLeases, lease_pb2.ListLeasesRequest(page_token=token))

    assert failed.value.field == "page_token"


def test_a_page_has_a_limit(service: Service) -> None:
    service.call(service.lease.ListLeases, lease_pb2.ListLeasesRequest(page_size=1_000))
    with pytest.raises(Failed) as failed:
        service.call(service.lease.ListLeases, lease_pb2.ListLeasesRequest(page_size=1_001))

    assert failed.value.field == "page_size"


# --- streams of renewals ------------------------------------------------------------------------


def keep_alive(service: Service, *requests: list[int]) -> list[list[tuple[int, int]]]:
    messages = [lease_pb2.KeepAliveLeasesRequest(lease_ids=lease_ids) for lease_ids in requests]
    answers = service.call(lambda _: service.lease.KeepAliveLeases(iter(messages)), None)
    return [[(each.lease_id, each.ttl_ms) for each in answer.renewals] for answer in answers]


def test_a_stream_answers_each_request_in_order(service: Service) -> None:
    one, two = grant(service), grant(service, 2_000)

    assert keep_alive(service, [two, one], [99], [one, one]) == [
        [(two, 2_000), (one, 10_000)],
        [(99, 0)],
        [(one, 10_000), (one, 10_000)],
    ]


@pytest.mark.parametrize(
    ("lease_ids", "field"), [([], "lease_ids"), ([1] * 1_001, "lease_ids"), ([1, 0], "lease_ids[1]")]
)
def test_a_stream_refuses_what_breaks_the_limits(service: Service, lease_ids: list[int], field: str) -> None:
    with pytest.raises(Failed) as failed:
        keep_alive(service, [1], lease_ids)

    assert failed.value.field == field


def test_a_stream_takes_a_thousand_leases_at_once(service: Service) -> None:
    assert keep_alive(service, list(range(1, 1_001))) == [[(each, 0) for each in range(1, 1_001)]]


def test_a_stream_ends_with_what_the_node_refuses(service: Service) -> None:
    service.node.refusal = errors.no_leader(600)

    with pytest.raises(Failed) as failed:
        keep_alive(service, [1])

    assert (failed.value.reason, failed.value.applied) == ("NO_LEADER", "no")


# --- renewals that come together ----------------------------------------------------------------


def granted_node(count: int) -> FakeNode:
    node = FakeNode()

    async def grant_all() -> None:
        for _ in range(count):
            command = command_pb2.Command(grant_lease={"ttl_ms": 5_000})
            await node.write(command.SerializeToString(), grows_state=True)

    asyncio.run(grant_all())
    node.log.clear()
    return node


def test_renewals_that_come_together_are_one_entry() -> None:
    node = granted_node(3)

    async def renew() -> list[tuple[int, list[int]]]:
        renewals = Renewals(node)
        return await asyncio.gather(renewals.renew([1, 2]), renewals.renew([2, 9]), renewals.renew([3]))

    assert asyncio.run(renew()) == [(3, [5_000, 5_000]), (3, [5_000, 0]), (3, [5_000])]
    ((command, grows_state),) = node.log
    assert list(command_pb2.Command.FromString(command).renew_leases.lease_ids) == [1, 2, 9, 3]
    assert not grows_state


def test_renewals_after_each_other_are_entries_of_their_own() -> None:
    node = granted_node(1)

    async def renew() -> None:
        renewals = Renewals(node)
        for _ in range(2):
            await renewals.renew([1])

    asyncio.run(renew())
    assert len(node.log) == 2


def test_a_caller_that_leaves_does_not_take_the_others_with_it() -> None:
    node = granted_node(2)

    async def renew() -> tuple[int, list[int]]:
        renewals = Renewals(node)
        leaving = asyncio.create_task(renewals.renew([1]))
        staying = asyncio.create_task(renewals.renew([2]))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(renew()) == (2, [5_000])


def test_what_fails_fails_for_all_that_came_together() -> None:
    node = granted_node(1)
    node.refusal = errors.overloaded("too much waits")

    async def renew() -> list[object]:
        renewals = Renewals(node)
        calls = (renewals.renew([1]), renewals.renew([1]))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert asyncio.run(renew()) == [node.refusal, node.refusal]


def test_more_than_fit_an_entry_are_two() -> None:
    node = FakeNode()
    node.replica.machine = Machine(node.state)

    async def renew() -> None:
        renewals = Renewals(node)
        calls = (renewals.renew(range(1 + first, 1_001 + first)) for first in range(0, 11_000, 1_000))
        await asyncio.gather(*calls)

    asyncio.run(renew())
    sizes = [len(command_pb2.Command.FromString(each).renew_leases.lease_ids) for each, _ in node.log]
    assert sizes == [10_000, 1_000]
