"""kvctl msg, against the real services of a node that leads."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.cli.served import PATIENCE_S, Served

NOW_MS = 1_700_000_000_000


@pytest.fixture(autouse=True)
def leading(served: Served) -> None:
    served.node.node.wall_ms = NOW_MS
    served.node.node.lead()
    served.run("device", "add", "bob", "phone")


def objects(served: Served, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in served.run("-o", "json", *arguments).stdout.splitlines()]


def texts(served: Served, *arguments: str) -> list[str]:
    """Without the time at the beginning of each line, which is local."""
    return [line.split("  ", 1)[1] for line in served.run(*arguments).stdout.splitlines()]


def test_send_and_receive_like_a_chat(served: Served) -> None:
    sent = served.run("msg", "send", "alice", "bob", "hello", "--id", "m1").stdout
    assert sent == "m1  queued for 1 devices\n"
    assert served.run("msg", "send", "alice", "bob", "hello", "--id", "m1").stdout.endswith("(sent before)\n")
    served.run("msg", "send", "alice", "bob", "--type", "image", "--media", "s3://1", "")
    assert texts(served, "msg", "receive", "bob", "phone") == ["alice: hello", "alice: <image s3://1>"]
    assert served.run("msg", "receive", "bob", "phone").stdout == ""


def test_what_controls_a_terminal_is_escaped(served: Served) -> None:
    served.run("msg", "send", "alice", "bob", "\x1b[2Jboo")
    assert texts(served, "msg", "receive", "bob", "phone") == [r"alice: \x1b[2Jboo"]


def test_one_object_a_line(served: Served) -> None:
    (sent,) = objects(served, "msg", "send", "alice", "bob", "hello", "--id", "m1")
    assert (sent["message_id"], sent["outcome"], sent["device_results"][0]["seq"]) == ("m1", "queued", 1)
    served.run("msg", "send", "alice", "bob", "again")
    first, second = objects(served, "msg", "receive", "bob", "phone")
    assert (first["seq"], first["sender_id"], first["payload"], first["attempt"]) == (1, "alice", "hello", 1)
    assert first["accept_time"] == "2023-11-14T22:13:20+00:00"
    assert second["payload"] == "again"


def test_following_goes_on_with_what_comes(served: Served) -> None:
    with served.process("msg", "receive", "bob", "phone", "--follow") as following:
        assert following.stdout is not None
        for text in ("one", "two"):
            served.run("msg", "send", "alice", "bob", text)
            assert following.stdout.readline().endswith(f"  alice: {text}\n")
        following.send_signal(signal.SIGINT)
        assert (following.wait(PATIENCE_S), following.stderr and following.stderr.read()) == (130, "")
    assert objects(served, "msg", "pull", "bob", "phone") == []
    with served.client() as client:
        assert client.messages.queue("bob", "phone").queue.attempts == 0


def test_pull_and_ack(served: Served) -> None:
    for text in ("one", "two", "three"):
        served.run("msg", "send", "alice", "bob", text)
    pulled = served.run("msg", "pull", "bob", "phone", "--max", "2")
    assert [line.split("  ")[-1] for line in pulled.stdout.splitlines()] == ["alice: one", "alice: two"]
    assert pulled.stderr == "there are more; go on with --after 2\n"
    acknowledged = served.run("msg", "ack", "bob", "phone", "3", "--through", "1").stdout
    assert acknowledged == "acknowledged 2; everything through 1 is gone\n"
    assert served.run("msg", "ack", "bob", "phone").exit_code == 2
    assert [each["seq"] for each in objects(served, "msg", "pull", "bob", "phone")] == [2]


def test_queues(served: Served) -> None:
    served.run("msg", "send", "alice", "bob", "one")
    served.run("device", "add", "carol", "phone")
    shown = dict(line.split() for line in served.run("msg", "queue", "bob", "phone").stdout.splitlines())
    assert (shown["live"], shown["next_seq"], shown["attempts"]) == ("1", "2", "0")
    assert [each["user_id"] for each in objects(served, "msg", "queues", "--nonempty")] == ["bob"]
    assert served.run("msg", "queues").stdout.splitlines()[0].split()[:3] == ["USER", "DEVICE", "LIVE"]
    assert served.run("msg", "purge", "bob", "phone").stdout == "deleted 1\n"
    assert served.run("msg", "queue", "bob", "watch").exit_code == 1


def test_dead_letters(served: Served) -> None:
    for text in ("poison", "fine"):
        served.run("msg", "send", "alice", "bob", text)
    with served.client() as client:
        for _ in range(20):
            client.messages.acknowledge("bob", "phone", nacks=[(1, "too hot")])
    head, row = served.run("msg", "dead", "list", "bob", "phone").stdout.splitlines()
    assert head.split() == ["NUMBER", "SENDER", "ATTEMPTS", "REASON", "MESSAGE"]
    assert row.split() == ["1", "alice", "20", "too", "hot", "poison"]
    assert served.run("msg", "dead", "redrive", "bob", "phone", "1").stdout == "redriven 1\n"
    assert objects(served, "msg", "dead", "list", "bob", "phone") == []
    assert served.run("msg", "dead", "delete", "bob", "phone").stdout == "deleted 0\n"
    assert texts(served, "msg", "receive", "bob", "phone") == ["alice: fine", "alice: poison"]


def test_nobody_to_send_to(served: Served) -> None:
    missing = served.run("msg", "send", "alice", "nobody", "hello")
    assert missing.exit_code == 1
    assert "USER_NOT_FOUND" in missing.stderr
    assert served.run("msg", "receive", "nobody", "phone").exit_code == 1
