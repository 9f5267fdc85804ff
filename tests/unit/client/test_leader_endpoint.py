"""How the library finds the node that leads, for what only the leader does."""

from __future__ import annotations

import asyncio

from kvraft.client.failover import Failover
from kvraft.client.leader_endpoint import ELECTION_S, LeaderEndpoint
from kvraft.members import MemberAddresses
from tests.fakes.one_node import one_node

PATIENCE_S = 10.0


async def found(endpoints: str) -> str | None:
    failover = Failover(endpoints, timeout_s=PATIENCE_S)
    leader = LeaderEndpoint(failover)
    try:
        endpoint = await leader.find()
        return None if endpoint is None else endpoint.address
    finally:
        await leader.close()
        await failover.close()


def test_while_nobody_leads_the_question_waits_at_the_nodes() -> None:
    """An election is heard of when it is over, not when it is asked about again."""

    async def run() -> None:
        asked, elected = asyncio.Event(), asyncio.Event()

        async def fresh() -> None:
            asked.set()
            await elected.wait()

        async with asyncio.timeout(PATIENCE_S), one_node() as served:
            served.node.replica.raft.leader_id = 0
            served.node.fresh = fresh  # type: ignore[method-assign]
            finding = asyncio.create_task(found(served.endpoints))
            await asked.wait()
            served.node.lead()
            elected.set()
            assert await finding == served.addresses[0]

    asyncio.run(run())


def test_an_endpoint_that_does_not_answer_holds_nothing_up() -> None:
    async def run() -> None:
        never = asyncio.Event()

        async def fresh() -> None:
            await never.wait()

        async with one_node() as hanging, one_node() as served:
            hanging.node.fresh = fresh  # type: ignore[method-assign]
            served.node.lead()
            async with asyncio.timeout(ELECTION_S):  # the hanging one is given up after that
                assert await found(f"{hanging.endpoints},{served.endpoints}") == served.addresses[0]

    asyncio.run(run())


def test_a_leader_of_a_later_term_supersedes_the_one_that_was_found() -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), one_node() as silent, one_node() as other:
            failover = Failover(f"{silent.endpoints},{other.endpoints}", timeout_s=PATIENCE_S)
            leader = LeaderEndpoint(failover)
            silent.node.lead()
            other.node.replica.raft.leader_id = 0
            assert await leader.find() is failover.endpoints[0]
            assert not await leader.is_superseded(), "the other one knows nobody"
            other.node.replica.raft.leader_id = 2
            assert not await leader.is_superseded(), "it is of the same term"
            other.node.replica.raft.term += 1
            assert await leader.is_superseded()
            await other.servers[0].stop(None)
            assert not await leader.is_superseded(), "nobody says so"
            await leader.close()
            await failover.close()

    asyncio.run(run())


def test_of_leaders_elsewhere_the_one_of_the_latest_term_is_found() -> None:
    """Whoever answers first: a node may not have heard of the election yet."""

    async def run() -> None:
        old = {3: MemberAddresses("192.0.2.3:1", "192.0.2.3:2")}
        new = {2: MemberAddresses("192.0.2.2:1", "192.0.2.2:2")}
        async with asyncio.timeout(PATIENCE_S), one_node(members=old) as late, one_node(members=new) as early:
            late.node.replica.raft.leader_id, early.node.replica.raft.leader_id = 3, 2
            early.node.replica.raft.term += 1
            for endpoints in (f"{late.endpoints},{early.endpoints}", f"{early.endpoints},{late.endpoints}"):
                assert await found(endpoints) == "192.0.2.2:1"

    asyncio.run(run())


class Telling(dict[int, MemberAddresses]):
    """Addresses of members; says when somebody asks for one."""

    def __init__(self, asked: asyncio.Event) -> None:
        super().__init__({3: MemberAddresses("192.0.2.1:1", "192.0.2.1:2")})
        self._asked = asked

    def get(self, node_id: int, default: MemberAddresses | None = None) -> MemberAddresses | None:
        self._asked.set()
        return super().get(node_id, default)


def test_an_endpoint_that_leads_comes_before_the_address_that_others_tell() -> None:
    """Which clients may be unable to reach: the nodes may be given to them under other names."""

    async def run() -> None:
        told = asyncio.Event()

        async def fresh() -> None:
            await told.wait()

        async with (
            asyncio.timeout(PATIENCE_S),
            one_node(members=Telling(told)) as follower,
            one_node() as leader,
        ):
            leader.node.fresh = fresh  # type: ignore[method-assign]
            leader.node.lead()
            assert await found(f"{follower.endpoints},{leader.endpoints}") == leader.addresses[0]
            assert await found(follower.endpoints) == "192.0.2.1:1"

    asyncio.run(run())
