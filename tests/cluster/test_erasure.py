"""The erasure of a user on real nodes: in the end no file of any of them holds a byte of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from kvraft.client import Client, ContactUpdate, Erasure, NotFound
from kvraft.client.user_data import write
from kvraft.v1 import message_pb2
from tests.cluster.harness import Cluster, eventually

pytestmark = pytest.mark.slow

USER = "erin-7f3a9c1d"
PAYLOAD = b"payload-of-erin-52b8e06f"
CONTACT = "contact-of-erin-c40d77aa"
SECRETS = (USER.encode(), PAYLOAD, CONTACT.encode())
FLAGS = ("--erasure-delay-ms", "0", "--flush-interval-ms", "100", "--segment-bytes", "65536")


def holding(cluster: Cluster, node_id: int, what: bytes) -> list[str]:
    """The files of a node's data directory that hold these bytes."""
    found = []
    for path in cluster.data_directory(node_id).rglob("*"):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            continue  # deleted meanwhile
        if what in data:
            found.append(str(path))
    return found


async def write_user(client: Client) -> None:
    await client.sessions.register_device(USER, "phone")
    async with client.lease.hold(30) as lease:
        await client.sessions.open(USER, "phone", lease_id=lease.lease_id, gateway_address="gateway")
    await client.contacts.update(USER, ContactUpdate(contact_id=CONTACT, display_name=CONTACT))
    for number in range(20):
        message = message_pb2.Message(
            message_id=f"m{number}",
            sender_id="frank",
            user_id=USER,
            content_type=message_pb2.CONTENT_TYPE_TEXT,
            payload=PAYLOAD * 40,
        )
        await write(client._pipeline, "send_message", message_pb2.SendMessageRequest(message=message))


async def write_others(client: Client) -> None:
    await client.sessions.register_device("frank", "phone")
    for number in range(100):
        await client.kv.put(b"others/%d" % number, b"kept" * 20)


async def assert_others(client: Client) -> None:
    for number in range(100):
        assert (await client.kv.get(b"others/%d" % number)).kv is not None
    assert (await client.sessions.list_devices("frank")).devices


async def until_clean(client: Client, erasure_id: int) -> None:
    async def all_clean() -> bool:
        progress = await client.admin.erasure(erasure_id)
        return all(isinstance(each, Erasure) and each.is_clean for each in progress.values())

    await eventually(all_clean, "the erasure on every node")


def test_no_file_holds_what_was_erased(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path, flags=FLAGS) as cluster, cluster.client() as operator:
            async with cluster.client() as client:
                await write_others(client)
                await write_user(client)
            await cluster.assert_equal_states()
            for node_id in cluster.node_ids:
                for secret in SECRETS:
                    assert holding(cluster, node_id, secret), f"node {node_id} never held {secret!r}"

            kinds = Counter([line["kind"] async for line in operator.admin.export_user(USER)])
            assert (kinds["message"], kinds["contact"], kinds["end"]) == (20, 1, 1)
            assert not [step.findings async for step in operator.admin.check() if step.findings]
            erased = await operator.admin.erase_user(USER, note="test")
            assert erased.existed
            assert erased.removed_rows > 20
            with pytest.raises(NotFound):
                await operator.sessions.list_devices(USER)
            await until_clean(operator, erased.erasure_id)

            for node_id in cluster.node_ids:
                for secret in SECRETS:
                    assert not holding(cluster, node_id, secret), f"node {node_id} still holds {secret!r}"
            await assert_others(operator)
            await cluster.assert_equal_states()
            # The new files are what a node starts from.
            await cluster.kill(*cluster.node_ids)
            for node_id in cluster.node_ids:
                cluster.start(node_id)
            await assert_others(operator)
            await until_clean(operator, erased.erasure_id)
            await cluster.assert_equal_states()

    asyncio.run(scenario())


def test_a_node_that_was_down_does_it_when_it_is_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path, flags=FLAGS) as cluster, cluster.client() as operator:
            async with cluster.client() as client:
                await write_others(client)
                await write_user(client)
            await cluster.assert_equal_states()
            down = (await cluster.followers())[0]
            await cluster.kill(down)
            erased = await operator.admin.erase_user(USER)
            others = [each for each in cluster.node_ids if each != down]
            async with cluster.client(*others) as client:
                await until_clean(client, erased.erasure_id)
            assert any(holding(cluster, down, secret) for secret in SECRETS)

            cluster.start(down)
            await until_clean(operator, erased.erasure_id)
            for secret in SECRETS:
                assert not holding(cluster, down, secret)
            await cluster.assert_equal_states()

    asyncio.run(scenario())


def test_a_node_killed_at_any_moment_of_it_finishes_the_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path, flags=FLAGS) as cluster, cluster.client() as operator:
            async with cluster.client() as client:
                await write_others(client)
                await write_user(client)
            erased = await operator.admin.erase_user(USER)
            for pause_s in (0.02, 0.08, 0.15, 0.3):
                for node_id in cluster.node_ids:
                    await asyncio.sleep(pause_s)
                    await cluster.kill(node_id)
                    cluster.start(node_id)
            await until_clean(operator, erased.erasure_id)
            for node_id in cluster.node_ids:
                for secret in SECRETS:
                    assert not holding(cluster, node_id, secret)
            await assert_others(operator)
            await cluster.assert_equal_states()

    asyncio.run(scenario())
