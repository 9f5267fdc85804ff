"""Transactions on real nodes: money moves between accounts while a leader dies, and none is made or lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from kvraft.client import (
    Client,
    Compare,
    DeleteRange,
    Get,
    GetResult,
    KeyRange,
    KvraftError,
    LeaseNotFound,
    Put,
    Range,
    RangeResult,
    Txn,
)
from tests.cluster.harness import PATIENCE_S, Cluster

ACCOUNTS = [b"account/%d" % number for number in range(8)]
OPENING_BALANCE = 1_000


async def transfer(client: Client, chance: random.Random) -> bool:
    """Moves 1 from an account to another one, if neither changed since it was read. Whether it did."""
    payer, payee = chance.sample(ACCOUNTS, 2)
    read = await client.kv.txn(success=[Get(payer), Get(payee)])
    balances: list[int] = []
    compare: list[Compare] = []
    for result in read.results:
        assert isinstance(result, GetResult)
        assert result.kv is not None
        balances.append(int(result.kv.value))
        compare.append(Compare.mod_revision(result.kv.key) == result.kv.mod_revision)
    written = await client.kv.txn(
        compare=compare,
        success=[Put(payer, b"%d" % (balances[0] - 1)), Txn(success=[Put(payee, b"%d" % (balances[1] + 1))])],
    )
    return written.succeeded


async def balances(client: Client) -> list[int]:
    """Read in one transaction."""
    result = await client.kv.txn(success=[Range(KeyRange.prefix(b"account/"))])
    (found,) = result.results
    assert isinstance(found, RangeResult)
    return [int(kv.value) for kv in found.kvs]


def test_transfers_neither_make_nor_lose_money_when_the_leader_dies(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.txn(
                compare=[Compare.missing(ACCOUNTS[0])],
                success=[Put(account, b"%d" % OPENING_BALANCE) for account in ACCOUNTS],
            )
            moved, enough = 0, 50
            is_enough = asyncio.Event()
            stop = False

            async def move(number: int) -> None:
                nonlocal moved
                chance = random.Random(number)
                first = number % len(cluster.node_ids)
                ids = cluster.node_ids[first:] + cluster.node_ids[:first]
                async with cluster.client(*ids) as mover:
                    while not stop:
                        if await transfer(mover, chance):
                            moved += 1
                        if moved >= enough:
                            is_enough.set()

            async def look() -> None:
                while not stop:
                    assert sum(await balances(client)) == len(ACCOUNTS) * OPENING_BALANCE

            async with asyncio.TaskGroup() as people:
                for number in range(6):
                    people.create_task(move(number))
                people.create_task(look())
                await asyncio.wait_for(is_enough.wait(), PATIENCE_S)
                leader = await cluster.leader()
                await cluster.kill(leader)
                is_enough.clear()
                enough = moved + 50
                await asyncio.wait_for(is_enough.wait(), PATIENCE_S)
                cluster.start(leader)
                stop = True

            assert moved >= enough
            found = await balances(client)
            assert sum(found) == len(ACCOUNTS) * OPENING_BALANCE
            assert any(balance != OPENING_BALANCE for balance in found)
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_a_transaction_that_fails_leaves_equal_states_on_every_node(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.batch_write([Put(b"k/%04d" % number, b"v") for number in range(1_000)])
            before = (await client.kv.put(b"other", b"v")).header.revision
            many = KeyRange.prefix(b"k/")
            with pytest.raises(LeaseNotFound):
                await client.kv.txn(
                    success=[
                        DeleteRange(many),
                        Put(b"k/new", b"v"),
                        Txn(success=[Put(b"x", b"v", lease_id=99)]),
                    ]
                )
            with pytest.raises(KvraftError) as refused:
                await client.kv.txn(success=[Put(b"k/new", b"v"), Txn(compare=[Compare.version(many) == 1])])
            assert (refused.value.reason, refused.value.applied) == ("RANGE_TOO_LARGE", "no")
            counted = await client.kv.count()
            assert (counted.count, counted.header.revision) == (1_001, before)
            await cluster.assert_equal_states()
            await cluster.kill(*cluster.node_ids)
            for node_id in cluster.node_ids:
                cluster.start(node_id)
            await cluster.leader()
            again = await client.kv.count()
            assert (again.count, again.header.revision) == (1_001, before)
            await cluster.assert_equal_states()

    asyncio.run(story())
