"""kvctl msg import and export, against the real services of a node that leads."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from kvctl.importing import MARK_PREFIX
from kvctl.message_lines import BadLineError, parse
from kvraft.machine.users import queues
from tests.cli.served import PATIENCE_S, Served


@pytest.fixture(autouse=True)
def leading(served: Served) -> None:
    served.node.node.wall_ms = 1_700_000_000_000
    served.node.node.lead()


def line(number: int, to: str = "bob", **fields: Any) -> dict[str, Any]:
    return {"id": f"m{number}", "from": "alice", "to": to, "type": "TEXT", "text": f"text {number}", **fields}


def write(file: Path, *lines: dict[str, Any] | str) -> str:
    file.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))
    return str(file)


def imported(served: Served, *arguments: str) -> dict[str, Any]:
    result = served.run("-o", "json", "msg", "import", *arguments)
    assert result.exit_code == 0, result.stderr
    return {name: value for name, value in json.loads(result.stdout).items() if not name.endswith("_s")}


def received(served: Served, user_id: str = "bob") -> list[str]:
    lines = served.run("-o", "json", "msg", "pull", user_id, "main", "--max", "256").stdout.splitlines()
    return [json.loads(each)["message_id"] for each in lines]


def counts(**fields: int) -> dict[str, int]:
    return {"lines": 0, "resumed": 0, "sent": 0, "duplicates": 0, "skipped": 0, "users": 0, **fields}


# --- imports --------------------------------------------------------------------------------------


def test_everybody_is_registered_and_gets_messages_in_the_order_of_the_file(
    served: Served, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "f", *(line(number, to="bob" if number % 3 else "carol") for number in range(200))
    )

    assert imported(served, file) == counts(lines=200, sent=200, users=3)
    assert received(served) == [f"m{number}" for number in range(200) if number % 3]
    assert received(served, "carol") == [f"m{number}" for number in range(0, 200, 3)]


def test_a_user_with_devices_gets_no_other(served: Served, tmp_path: Path) -> None:
    for user_id in ("alice", "bob"):
        served.run("device", "add", user_id, "phone")
    assert imported(served, write(tmp_path / "f", line(1)))["users"] == 0
    assert json.loads(served.run("-o", "json", "msg", "queues", "bob").stdout)["device_id"] == "phone"


def test_again_nothing_is_sent_twice(served: Served, tmp_path: Path) -> None:
    file = write(tmp_path / "f", line(1), line(2))
    imported(served, file)

    assert imported(served, file) == counts(lines=2, resumed=2)
    assert imported(served, file, "--from-start") == counts(lines=2, duplicates=2)
    assert received(served) == ["m1", "m2"]


def test_packed_lines_and_those_of_stdin(served: Served, tmp_path: Path) -> None:
    packed = tmp_path / "f.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(line(1)).encode()))
    assert imported(served, str(packed))["sent"] == 1
    with served.process("-o", "json", "msg", "import", "-", "--name", "stream") as process:
        out, _ = process.communicate("".join(json.dumps(line(n)) + "\n\n" for n in (2, 3)), PATIENCE_S)
    assert json.loads(out)["lines"] == 4
    with served.client() as client:
        mark = client.kv.get(MARK_PREFIX + b"stream").kv
    assert mark is not None
    assert json.loads(mark.value) == {"lines": 4}


def test_a_file_that_is_cut_off(served: Served, tmp_path: Path) -> None:
    packed = tmp_path / "f.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(line(1)).encode() + b"\n")[:-9])
    result = served.run("msg", "import", str(packed))
    assert result.exit_code == 2
    assert "f.jsonl.gz: after" in result.stderr


def test_a_bad_line_stops_it_and_the_next_run_goes_on_there(served: Served, tmp_path: Path) -> None:
    file = write(tmp_path / "f", line(1), '{"id": "m2"', line(3))
    result = served.run("msg", "import", file)

    assert result.exit_code == 2
    assert "line 2: it is no JSON" in result.stderr
    assert "The lines before 2 are done" in result.stderr
    assert imported(served, file, "--bad-lines", "skip") == counts(lines=3, resumed=1, sent=1, skipped=1)
    assert received(served) == ["m1", "m3"]


def test_a_line_that_the_cluster_refuses_is_bad_too(served: Served, tmp_path: Path) -> None:
    refused = {**line(2), "group": "nobody"}
    del refused["to"]
    file = write(tmp_path / "f", line(1), refused, line(3, id="x" * 37))
    result = served.run("msg", "import", file, "--bad-lines", "skip")

    assert result.exit_code == 0
    assert "line 2 is skipped" in result.stderr
    assert "GROUP_NOT_FOUND" in result.stderr
    assert "line 3 is skipped" in result.stderr


@pytest.fixture
def small_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MESSAGES_MAX", 2)


@pytest.mark.usefixtures("small_queues")
def test_a_full_queue_stops_it_or_is_passed_over(served: Served, tmp_path: Path) -> None:
    file = write(tmp_path / "f", *map(line, range(1, 5)))
    result = served.run("-o", "json", "msg", "import", file)

    assert result.exit_code == 5
    error = json.loads(result.stderr)["error"]
    assert (error["reason"], error["line"], error["done"]) == ("QUEUE_FULL", 3, 2)
    assert imported(served, file, "--full-queues", "skip")["skipped"] == 2


@pytest.mark.usefixtures("small_queues")
def test_a_full_queue_may_be_waited_for(served: Served, tmp_path: Path) -> None:
    file = write(tmp_path / "f", *map(line, range(1, 6)))
    got: list[str] = []
    with served.process("-o", "json", "msg", "import", file, "--full-queues", "wait") as process:
        while process.poll() is None:
            if waiting := received(served):
                got += waiting
                served.run("msg", "ack", "bob", "main", "--through", str(len(got)))
    assert got + received(served) == [f"m{number}" for number in range(1, 6)]


@pytest.mark.usefixtures("small_queues")
def test_interrupted_it_leaves_a_mark(served: Served, tmp_path: Path) -> None:
    file = write(tmp_path / "f", *map(line, range(1, 5)))
    with served.process("msg", "import", file, "--full-queues", "wait") as process:
        while len(received(served)) < 2:
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert "interrupted, 2 lines are done" in err
    served.run("msg", "ack", "bob", "main", "--through", "2")
    assert imported(served, file)["resumed"] == 2
    assert received(served) == ["m3", "m4"]


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("[]", "no JSON object"),
        ("{}", "needs `to` or `group`"),
        ('{"to":"b","group":"g"}', "not both"),
        ('{"to":"b"}', "no `id`"),
        ('{"to":"b","id":1}', "`id` is no string"),
        ('{"to":"b","id":"1","from":"a","type":"SMELL"}', "`type` is 'SMELL'"),
        ('{"to":"b","id":"1","from":"a","payload":"?"}', "no base64"),
        ('{"to":"b","id":"1","from":"a","payload":"","text":""}', "`text` and `payload`"),
        ('{"to":"b","id":"1","from":"a","time":"soon"}', "`time`"),
        ('{"to":"b","id":"1","from":"a","media":{}}', "no `uri`"),
        ('{"to":"b","id":"1","from":"a","media":{"uri":"u","sha256":"x"}}', "`media`"),
    ],
)
def test_what_is_no_message(bad: str, why: str) -> None:
    with pytest.raises(BadLineError) as raised:
        parse(bad.encode())
    assert why in str(raised.value)


# --- exports --------------------------------------------------------------------------------------


def test_what_is_exported_can_be_imported(served: Served, tmp_path: Path) -> None:
    lines = [
        line(1),
        line(2, to="carol", time=1_700_000_000.0, conversation="c", receipt=True, from_device="phone"),
        {
            "id": "m3",
            "from": "alice",
            "to": "bob",
            "type": "IMAGE",
            "payload": "/w==",
            "media": {"uri": "s3://1", "size_bytes": 7, "mime_type": "image/png", "sha256": "ab" * 32},
        },
    ]
    imported(served, write(tmp_path / "f", *lines))
    packed = tmp_path / "out.jsonl.gz"
    assert served.run("msg", "export", "-f", str(packed)).stderr == "3 messages of 2 queues\n"
    exported = [json.loads(each) for each in gzip.decompress(packed.read_bytes()).splitlines()]

    for each in exported:
        assert each.pop("queue")["device"] == "main"
    assert sorted(exported, key=lambda each: str(each["id"])) == lines
    assert imported(served, str(packed)) == counts(lines=3, duplicates=3)


def test_an_export_of_one_device(served: Served, tmp_path: Path) -> None:
    served.run("device", "add", "bob", "phone")
    served.run("device", "add", "bob", "laptop")
    imported(served, write(tmp_path / "f", *map(line, range(300)), line(300, to="carol")))
    lines = served.run("msg", "export", "bob", "--device", "phone").stdout.splitlines()

    assert [json.loads(each)["id"] for each in lines] == [f"m{number}" for number in range(300)]
    assert len(served.run("msg", "export").stdout.splitlines()) == 601
    assert served.run("msg", "export", "--device", "phone").exit_code == 2
