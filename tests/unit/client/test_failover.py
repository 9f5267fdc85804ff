"""Which failures lead to another endpoint, and which to the caller."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from kvraft.client import (
    Client,
    DeadlineExceeded,
    GetResult,
    InternalError,
    InvalidArgument,
    KvraftError,
    OutcomeUnknown,
    PutResult,
    ResourceExhausted,
    Unavailable,
)
from kvraft.v1 import pipeline_pb2
from tests.fakes.kv_server import Failure, FakeNode, FakeServer, dead_endpoint

Code = grpc.StatusCode
Pair = tuple[FakeServer, FakeServer]

NO_LEADER = Failure(code=Code.UNAVAILABLE, reason="NO_LEADER")
NOT_APPLIED = Failure(code=Code.UNAVAILABLE, reason="NOT_APPLIED")
OUTCOME_UNKNOWN = Failure(
    code=Code.UNAVAILABLE, reason="OUTCOME_UNKNOWN", applied="unknown", after_applying=True
)
LOST_REPLY = Failure(code=Code.UNAVAILABLE, message="Socket closed", after_applying=True)


class Forgetful(dict[tuple[int, int], pipeline_pb2.PipelineResponse]):
    """Answers that are not kept."""

    def __setitem__(self, *_: object) -> None:
        pass


def both(pair: Pair) -> str:
    return f"{pair[0].endpoint},{pair[1].endpoint}"


def test_a_dead_first_endpoint_costs_nothing_but_the_attempt(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(f"{dead_endpoint()},{server.endpoint}") as client:
            await client.kv.put(b"k", b"v")
            assert (await client.kv.get(b"k")).kv is not None

    asyncio.run(run())
    assert node.methods() == ["Put", "Get"]


def test_one_endpoint_is_kept_while_it_works_and_the_next_one_after_that(pair: Pair) -> None:
    first, second = pair

    async def run() -> None:
        async with Client(both(pair)) as client:
            for _ in range(3):
                await client.kv.get(b"k")
            first.node.fail("Get", NO_LEADER)
            for _ in range(3):
                await client.kv.get(b"k")

    asyncio.run(run())
    assert (len(first.node.calls), len(second.node.calls)) == (4, 3)


@pytest.mark.parametrize("failure", [NO_LEADER, NOT_APPLIED])
def test_a_write_that_was_certainly_not_applied_is_sent_again(pair: Pair, failure: Failure) -> None:
    first, second = pair
    first.node.fail("Put", failure, times=10)
    second.node.fail("Put", failure)

    async def run() -> None:
        async with Client(both(pair)) as client:
            assert (await client.kv.put(b"k", b"v")).header.member_id == 2

    asyncio.run(run())
    assert (first.node.methods(), second.node.methods()) == (["Put"] * 2, ["Put"] * 2)
    assert (first.node.revision, second.node.revision) == (0, 1)


@pytest.mark.parametrize("failure", [OUTCOME_UNKNOWN, LOST_REPLY])
def test_a_write_whose_answer_was_lost_is_sent_again_and_applied_once(pair: Pair, failure: Failure) -> None:
    first, second = pair
    first.node.fail("Put", failure)

    async def run() -> None:
        async with Client(both(pair)) as client:
            await client.kv.put(b"k", b"v")
            # The next call does not go to the endpoint that lost an answer.
            assert (await client.kv.get(b"k")).header.member_id == 2

    asyncio.run(run())
    assert first.node.keys[b"k"].version == 1
    assert second.node.keys == {}
    (batch,), (again, _read) = first.node.batches, second.node.batches
    assert batch.writes == again.writes


def test_a_write_without_any_answer_has_an_unknown_outcome(server: FakeServer, node: FakeNode) -> None:
    node.fail("Put", LOST_REPLY)
    node.fail("Put", OUTCOME_UNKNOWN, times=1_000)
    node.answers = Forgetful()

    async def run() -> None:
        async with Client(server.endpoint, timeout_s=0.5) as client:
            with pytest.raises(OutcomeUnknown) as lost:
                await client.kv.put(b"k", b"v")
            assert lost.value.applied == "unknown"

    asyncio.run(run())


def test_a_write_that_was_refused_after_an_unknown_attempt_stays_unknown(pair: Pair) -> None:
    first, second = pair
    first.node.fail("Put", Failure(code=Code.UNAVAILABLE, message="Socket closed"))
    for each in pair:
        each.node.fail("Put", NO_LEADER, times=1_000)

    async def run() -> None:
        async with Client(both(pair), timeout_s=0.5) as client:
            with pytest.raises(OutcomeUnknown):
                await client.kv.put(b"k", b"v")

    asyncio.run(run())
    assert second.node.calls


def test_a_server_that_dies_with_a_write_is_replaced(pair: Pair) -> None:
    first, second = pair
    first.node.hanging.add("Put")

    async def run() -> None:
        async with Client(both(pair), timeout_s=30) as client:
            put = asyncio.create_task(client.kv.put(b"k", b"v"))
            await asyncio.to_thread(first.node.arrived.wait)
            await asyncio.to_thread(first.stop)
            assert (await put).header.member_id == 2

    asyncio.run(run())
    assert second.node.methods() == ["Put"]


def test_a_forgotten_client_registers_again(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            await client.kv.put(b"k", b"v")
            node.clients.clear()
            node.clients.add(7)
            await client.kv.put(b"k", b"w")

    asyncio.run(run())
    assert [batch.writes.request_id.client_id for batch in node.batches] == [100, 100, 101]
    assert node.keys[b"k"].version == 2


def test_a_forgotten_client_does_not_repeat_what_may_have_been_applied(pair: Pair) -> None:
    first, second = pair

    async def run() -> None:
        async with Client(both(pair)) as client:
            await client.kv.put(b"a", b"")
            first.node.hanging.add("Put")
            put = asyncio.create_task(client.kv.put(b"k", b"v"))
            await asyncio.to_thread(first.node.arrived.wait)
            first.node.clients.clear()
            first.stop()
            with pytest.raises(OutcomeUnknown):
                await put

    asyncio.run(run())
    assert b"k" not in second.node.keys


def test_calls_that_run_together_travel_together(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            await asyncio.gather(*(client.kv.put(b"%d" % number, b"") for number in range(2_500)))
            values = await asyncio.gather(*(client.kv.get(b"%d" % number) for number in range(2_500)))
            assert all(value.kv is not None for value in values)

    asyncio.run(run())
    sizes = [len(batch.writes.commands) for batch in node.batches if batch.HasField("writes")]
    assert sum(sizes) == 2_500
    assert max(sizes) == 1_000
    assert len(sizes) <= 5
    last = [batch.writes.request_id for batch in node.batches if batch.HasField("writes")][-1]
    assert last.sequence - last.first_unacknowledged <= 2


@pytest.mark.parametrize(("callers", "largest"), [(200, 200), (600, 300), (3_000, 1_000)])
def test_a_crowd_is_shared_evenly_by_the_batches_under_way(
    server: FakeServer, node: FakeNode, callers: int, largest: int
) -> None:
    async def caller(client: Client) -> None:
        for _ in range(3):
            await client.kv.get(b"k")

    async def run() -> None:
        async with Client(server.endpoint) as client:
            await asyncio.gather(*(caller(client) for _ in range(callers)))

    asyncio.run(run())
    sizes = [len(batch.reads.keys) for batch in node.batches]
    assert sum(sizes) == 3 * callers
    assert max(sizes) == largest


def test_one_bad_command_does_not_spoil_the_others(server: FakeServer, node: FakeNode) -> None:
    violation = ("writes.commands[1].put.key", "is empty")
    node.failures["Put"].extend(
        [
            None,
            Failure(code=Code.INVALID_ARGUMENT, reason="INVALID_ARGUMENT", violations=(violation,)),
        ]
    )

    async def run() -> None:
        async with Client(server.endpoint) as client:
            calls = (client.kv.put(key, b"") for key in (b"a", b"b", b"c"))
            first, second, third = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(second, InvalidArgument)
            assert [each.field for each in second.violations] == ["key"]
            assert not isinstance(first, BaseException)
            assert not isinstance(third, BaseException)

    asyncio.run(run())
    assert sorted(node.keys) == [b"a", b"c"]


def test_a_server_that_dies_with_a_read_is_replaced(pair: Pair) -> None:
    first, _ = pair
    first.node.hanging.add("Get")

    async def run() -> None:
        async with Client(both(pair), timeout_s=30) as client:
            get = asyncio.create_task(client.kv.get(b"k"))
            await asyncio.to_thread(first.node.arrived.wait)
            await asyncio.to_thread(first.stop)
            assert (await get).header.member_id == 2

    asyncio.run(run())


def test_reads_are_repeated_after_any_failure_of_availability(pair: Pair) -> None:
    first, _ = pair
    for failure in (OUTCOME_UNKNOWN, LOST_REPLY, Failure(code=Code.CANCELLED)):
        first.node.fail("Get", Failure(code=failure.code, reason=failure.reason, applied="unknown"))

        async def run() -> None:
            async with Client(both(pair)) as client:
                assert (await client.kv.get(b"k")).header.member_id == 2

        asyncio.run(run())


@pytest.mark.parametrize("method", ["Get", "Put"])
def test_a_node_that_hangs_is_left(pair: Pair, method: str) -> None:
    first, second = pair
    first.node.hanging.add(method)

    async def run() -> None:
        async with Client(both(pair), timeout_s=1.0) as client:
            call = client.kv.get(b"k") if method == "Get" else client.kv.put(b"k", b"v")
            answer: GetResult | PutResult = await call
            assert answer.header.member_id == 2

    asyncio.run(run())
    assert second.node.methods() == [method]


def test_a_write_that_hangs_everywhere_is_unknown_in_time(server: FakeServer, node: FakeNode) -> None:
    node.hanging.add("Put")

    async def run() -> None:
        async with Client(server.endpoint, timeout_s=0.2) as client:
            with pytest.raises(OutcomeUnknown) as lost:
                await client.kv.put(b"k", b"v")
            assert lost.value.reason == "DEADLINE_EXCEEDED"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure(code=Code.INVALID_ARGUMENT, reason="INVALID_ARGUMENT"), InvalidArgument),
        (Failure(code=Code.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_ms=70), ResourceExhausted),
        (Failure(code=Code.RESOURCE_EXHAUSTED, reason="NO_SPACE"), ResourceExhausted),
        (Failure(code=Code.INTERNAL, reason="INTERNAL", applied="unknown"), InternalError),
    ],
)
def test_what_repeating_would_not_mend_goes_to_the_caller(
    pair: Pair, failure: Failure, kind: type[KvraftError]
) -> None:
    first, second = pair
    first.node.fail("Put", failure)
    first.node.fail("Get", failure)

    async def run() -> None:
        async with Client(both(pair)) as client:
            with pytest.raises(kind):
                await client.kv.put(b"k", b"v")
            with pytest.raises(kind):
                await client.kv.get(b"k")

    asyncio.run(run())
    assert (first.node.methods(), second.node.methods()) == (["Put", "Get"], [])


def test_without_any_endpoint_a_call_tries_until_its_deadline_and_is_not_applied() -> None:
    async def run() -> None:
        async with Client(f"{dead_endpoint()},{dead_endpoint()}", timeout_s=0.3) as client:
            for call in (client.kv.put(b"k", b"v"), client.kv.get(b"k")):
                began_s = time.monotonic()
                with pytest.raises(Unavailable) as failed:
                    await call
                assert 0.2 < time.monotonic() - began_s < 3
                assert (failed.value.applied, failed.value.reason) == ("no", "CONNECT_FAILED")

    asyncio.run(run())


def test_without_a_leader_a_call_is_repeated_in_rounds_until_its_deadline(pair: Pair) -> None:
    for server in pair:
        server.node.fail("Put", NO_LEADER, times=1000)

    async def run() -> None:
        async with Client(both(pair), timeout_s=1.0) as client:
            with pytest.raises((Unavailable, OutcomeUnknown)) as failed:
                await client.kv.put(b"k", b"v")
            # Rarely an attempt is under way at the very moment.
            assert (failed.value.reason, failed.value.applied) in {
                ("NO_LEADER", "no"),
                ("DEADLINE_EXCEEDED", "unknown"),
            }

    asyncio.run(run())
    attempts = [len(server.node.calls) for server in pair]
    # Pauses of 25 to 50, 50 to 100, 100 to 200, 200 to 400 ms and the rest, if the machine keeps up.
    assert 3 <= min(attempts) <= max(attempts) <= 7
    assert max(attempts) - min(attempts) <= 1


def test_a_revision_that_does_not_come(server: FakeServer, node: FakeNode) -> None:
    node.fail("Get", Failure(code=Code.DEADLINE_EXCEEDED, reason="REVISION_NOT_REACHED"), times=1000)

    async def run() -> None:
        async with Client(server.endpoint, timeout_s=0.2) as client:
            with pytest.raises(DeadlineExceeded) as failed:
                await client.kv.get(b"k")
            assert failed.value.reason == "REVISION_NOT_REACHED"

    asyncio.run(run())


def test_a_cancelled_call_is_cancelled(server: FakeServer, node: FakeNode) -> None:
    node.hanging.add("Put")

    async def run() -> None:
        async with Client(server.endpoint) as client:
            put = asyncio.create_task(client.kv.put(b"k", b"v"))
            await asyncio.to_thread(node.arrived.wait)
            put.cancel()
            with pytest.raises(asyncio.CancelledError):
                await put

    asyncio.run(run())
    assert node.methods() == ["Put"]


def test_concurrent_calls_leave_a_dead_endpoint_together(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        endpoints = f"{dead_endpoint()},{server.endpoint}"
        async with Client(endpoints) as client:
            await asyncio.gather(*(client.kv.put(b"%d" % number, b"") for number in range(50)))

    asyncio.run(run())
    assert len(node.keys) == 50


def test_a_closed_client_says_so() -> None:
    async def run() -> None:
        client = Client("127.0.0.1:7001")
        await client.close()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.kv.get(b"k")

    asyncio.run(run())


def test_a_timeout_must_be_positive() -> None:
    with pytest.raises(ValueError, match="timeout_s is 0"):
        Client("127.0.0.1:7001", timeout_s=0)


def test_a_bug_on_the_way_reaches_the_callers(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with Client(server.endpoint, timeout_s=30) as client:
            with monkeypatch.context() as patch:
                patch.setattr("kvraft.client.leader.LeaderFinder.heard", "not a method")
                await client.kv.put(b"k", b"v")
                with pytest.raises(InternalError, match="not callable"):
                    await client.kv.put(b"k", b"v")
            await client.kv.put(b"k", b"w")

    asyncio.run(run())


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.UNKNOWN])
def test_a_stream_that_is_refused_after_applying_leaves_the_outcome_unknown(
    server: FakeServer, node: FakeNode, code: Code
) -> None:
    """The status is that of the stream; of the write under way it says nothing."""
    node.fail("Put", Failure(code=code, after_applying=True))

    async def run() -> None:
        async with Client(server.endpoint) as client:
            with pytest.raises(KvraftError) as failed:
                await client.kv.put(b"k", b"v")
            assert failed.value.applied == "unknown"

    asyncio.run(run())
    assert b"k" in node.keys
