"""Users as a whole, as operators' programs ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from kvraft.client import (
    AuditAction,
    Client,
    ContactUpdate,
    Erasure,
    Finding,
    KvraftError,
    NotFound,
    SyncClient,
    Unavailable,
)
from kvraft.machine.users import keys
from kvraft.node.erasures import ErasureProgress
from tests.fakes.one_node import OneNode, one_node

PATIENCE_S = 10.0
Scenario = Callable[[OneNode, Client], Awaitable[None]]
CLEAN = ErasureProgress(applied=True, log_clean=True, state_clean=True, clean_ms=1_900_000_000_000)
DIRTY = ErasureProgress(applied=True, log_clean=False, state_clean=False, clean_ms=None)


def with_client(scenario: Scenario) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            Client(served.endpoints, timeout_s=2) as client,
        ):
            served.node.wall_ms = 1_900_000_000_000
            await client.sessions.register_device("alice", "phone")
            await client.contacts.update("alice", ContactUpdate(contact_id="bob", display_name="Bob"))
            await scenario(served, client)

    asyncio.run(run())


def test_a_user_is_exported_and_erased_and_both_are_remembered() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        lines = [line async for line in client.admin.export_user("alice", note="asked")]
        assert [line["kind"] for line in lines] == ["user", "device", "contact", "end"]
        assert lines[2]["display_name"] == "Bob"

        erased = await client.admin.erase_user("alice", note="asked again")
        assert (erased.existed, erased.erasure_id) == (True, erased.header.revision)
        assert not (await client.admin.erase_user("alice")).existed
        with pytest.raises(NotFound):
            _ = [line async for line in client.admin.export_user("alice")]

        page = await client.admin.audit(page_size=1)
        (entry,) = page.entries
        assert (entry.action, entry.note, entry.revision) == (
            AuditAction.ERASE_USER,
            "asked again",
            erased.erasure_id,
        )
        assert entry.user_id_sha256 == sha256(b"alice").digest()
        assert entry.time == datetime.fromtimestamp(1_900_000_000, UTC)
        assert page.next_page_token
        actions = [each.action async for each in client.admin.all_audit_entries()]
        assert actions == [AuditAction.ERASE_USER, AuditAction.EXPORT_USER]

    with_client(scenario)


def test_every_endpoint_is_asked_for_an_erasure() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.erasures[9] = DIRTY
        (answer,) = (await client.admin.erasure(9)).values()
        assert isinstance(answer, Erasure)
        assert (answer.applied, answer.is_clean, answer.clean_time) == (True, False, None)
        served.node.erasures[9] = CLEAN
        async with Client(f"{served.endpoints},127.0.0.1:1", timeout_s=2) as both:
            answers = await both.admin.erasure(9)
        clean, unreachable = answers.values()
        assert isinstance(clean, Erasure)
        assert clean.is_clean
        assert clean.clean_time == datetime.fromtimestamp(1_900_000_000, UTC)
        assert isinstance(unreachable, KvraftError)

    with_client(scenario)


def test_a_check_is_followed_to_its_end() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        steps = [step async for step in client.admin.check()]
        assert steps[-1].done
        assert not any(step.findings for step in steps)
        served.node.state.rows[keys.due_key(1, "nobody", "phone")] = b""
        (step,) = [step async for step in client.admin.check(max_findings=1)]
        assert step.findings == (
            Finding("MISPLACED_INDEX", "user nobody, device phone", step.findings[0].detail),
        )

    with_client(scenario)


def test_a_stream_goes_to_the_endpoint_that_works() -> None:
    async def scenario(served: OneNode, _client: Client) -> None:
        async with Client(f"127.0.0.1:1,{served.endpoints}", timeout_s=2) as client:
            assert [line async for line in client.admin.export_user("alice")]
        async with Client("127.0.0.1:1", timeout_s=0.3) as nowhere:
            with pytest.raises(Unavailable):
                _ = [step async for step in nowhere.admin.check()]

    with_client(scenario)


def test_the_same_without_an_event_loop() -> None:
    async def scenario(served: OneNode, _client: Client) -> None:
        def use() -> None:
            with SyncClient(served.endpoints, timeout_s=2) as client:
                assert list(client.admin.export_user("alice"))[-1]["kind"] == "end"
                assert client.admin.erase_user("alice").existed
                assert list(client.admin.check())[-1].done
                assert len(list(client.admin.all_audit_entries())) == 2
                assert len(client.admin.audit().entries) == 2

        await asyncio.to_thread(use)

    with_client(scenario)
