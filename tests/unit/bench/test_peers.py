"""The closed loop that drives message queues, and what is said of a peer that is not installed."""

from __future__ import annotations

import asyncio

import pytest

from bench.peers import mailboxes, nats, rabbitmq
from bench.peers.mailboxes import Queueing, drive

CALLERS = 5
SECONDS = 0.2


def test_each_caller_awaits_its_own_message_before_the_next() -> None:
    numbers: list[int] = []
    under_way: set[int] = set()
    most = 0

    async def send(number: int) -> None:
        nonlocal most
        numbers.append(number)
        under_way.add(number)
        most = max(most, len(under_way))
        await asyncio.sleep(0.002)
        under_way.remove(number)

    measured = asyncio.run(drive(send, callers=CALLERS, seconds=SECONDS, warmup_seconds=0))
    assert most == CALLERS
    assert not under_way
    assert numbers == list(range(len(numbers)))
    # What was confirmed after the end is not counted: at most one message of each caller.
    assert len(numbers) - CALLERS <= measured.calls <= len(numbers)
    assert measured.operations_per_s == pytest.approx(measured.calls / SECONDS)
    assert 1 < measured.p50_ms <= measured.p99_ms


def test_a_message_that_is_refused_fails_the_run() -> None:
    async def send(number: int) -> None:
        await asyncio.sleep(0)
        if number == 0:
            raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        asyncio.run(drive(send, callers=CALLERS, seconds=SECONDS, warmup_seconds=0))


def test_a_confirmation_that_never_comes_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "CONFIRMATION_SECONDS_MAX", 0.05)

    async def send(number: int) -> None:
        await (asyncio.Event().wait() if number == 0 else asyncio.sleep(0))

    with pytest.raises(TimeoutError):
        asyncio.run(drive(send, callers=CALLERS, seconds=SECONDS, warmup_seconds=0))


@pytest.mark.parametrize(("peer", "package"), [(nats, "nats-server"), (rabbitmq, "rabbitmq-server")])
def test_a_server_that_is_not_there_is_named_with_its_package(
    peer: Queueing, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    hint = peer.missing()
    assert hint is not None
    assert f"apt-get install {package}" in hint
