"""kvctl bench, against the real services and against a node that fails when it is told to."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from kvctl.histogram import BUCKETS_PER_DOUBLING, Histogram
from kvctl.root import kvctl
from kvraft.client import SyncClient
from tests.cli.conftest import Run
from tests.fakes.kv_server import Failure, FakeNode, FakeServer
from tests.fakes.machine_server import MachineServer

Bench = Callable[..., Result]


@pytest.fixture
def server_of_machine() -> Iterator[MachineServer]:
    with MachineServer() as server:
        yield server


@pytest.fixture
def bench(server_of_machine: MachineServer) -> Bench:
    """Runs a load: bench("put", "--count", "10")."""

    def bench(*arguments: str) -> Result:
        environment = {"KVRAFT_ENDPOINTS": server_of_machine.endpoint}
        result = CliRunner().invoke(kvctl, ["bench", *arguments], env=environment, prog_name="kvctl")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return bench


@pytest.fixture
def client(server_of_machine: MachineServer) -> Iterator[SyncClient]:
    with SyncClient(server_of_machine.endpoint) as client:
        yield client


def numbers(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize("load", ["put", "get", "txn"])
def test_every_call_is_counted_once(bench: Bench, client: SyncClient, load: str) -> None:
    measured = numbers(bench(load, "--callers", "7", "--count", "50", "-o", "json"))
    assert (measured["load"], measured["callers"], measured["count"]) == (load, 7, 50)
    assert (measured["key_bytes"], measured["value_bytes"], measured["errors"]) == (32, 256, {})
    latency_ms = measured["latency_ms"]
    assert 0 < latency_ms["p50"] <= latency_ms["p90"] <= latency_ms["p99"] <= latency_ms["max"]
    assert latency_ms["max"] < measured["histogram"][-1]["below_ms"]
    assert sum(row["count"] for row in measured["histogram"]) == 50
    assert measured["per_s"] == pytest.approx(50 / measured["elapsed_s"], rel=0.01)
    assert client.kv.count().count == 0


def test_watch_counts_an_event_for_each_put_and_watch(bench: Bench, client: SyncClient) -> None:
    measured = numbers(bench("watch", "--callers", "5", "--count", "8", "-o", "json"))
    assert measured["count"] == 40
    assert measured["latency_ms"]["p50"] > 0
    assert client.kv.count().count == 0


def test_keys_and_values_are_as_long_as_asked_and_kept_if_asked(bench: Bench, client: SyncClient) -> None:
    arguments = ["--count", "20", "--key-size", "40", "--value-size", "100", "--prefix", "b/", "--keep"]
    result = bench("put", *arguments)
    kept = re.search(r"^kept: (b/[0-9a-f]{8}/)$", result.stdout, re.MULTILINE)
    assert kept is not None
    stored = list(client.kv.stream_range())
    assert len({each.key for each in stored}) == 20
    assert {(len(each.key), len(each.value)) for each in stored} == {(40, 100)}
    assert all(each.key.startswith(kept[1].encode()) for each in stored)


def test_what_was_below_the_prefix_before_stays(bench: Bench, client: SyncClient) -> None:
    client.kv.put(b"users/1", b"alice")
    assert bench("put", "--count", "3", "--prefix", "users/").exit_code == 0
    assert [each.key for each in client.kv.stream_range()] == [b"users/1"]


def test_text_has_the_numbers_and_a_bar_for_each_doubling(bench: Bench) -> None:
    summary, percentiles, empty, *rows = bench("put", "--callers", "2", "--count", "30").stdout.splitlines()
    assert re.fullmatch(r"put: 30 calls by 2 callers in \d+\.\d\d s, [\d,]+/s", summary)
    assert re.fullmatch(r"p50 \S+ ms, p90 \S+ ms, p99 \S+ ms, max \S+ ms", percentiles)
    assert empty == ""
    assert rows
    assert sum(int(row.split()[-1]) for row in rows) == 30
    assert all(re.fullmatch(r"below +\S+ ms  █* +\S+%  \d+", row) for row in rows)


def test_a_number_of_seconds(bench: Bench) -> None:
    measured = numbers(bench("put", "--callers", "2", "--seconds", "0.2", "-o", "json"))
    assert measured["elapsed_s"] >= 0.2
    assert measured["count"] > 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--count", "1", "--seconds", "1"],
        ["--callers", "0"],
        ["--callers", "10001"],
        ["--seconds", "0"],
        ["--key-size", "25"],
        ["--key-size", "481"],
        ["--value-size", "7"],
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, node: FakeNode, arguments: list[str]) -> None:
    assert run("bench", "put", *arguments).exit_code == 2
    assert node.calls == []


def test_errors_are_counted_by_reason_and_the_last_one_is_the_exit_code(run: Run, node: FakeNode) -> None:
    full = Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_ms=1)
    node.fail_after("Put", 2, full)  # the first put only connects
    node.fail("Put", full)
    result = run("bench", "put", "--callers", "1", "--count", "5", "-o", "json")
    assert result.exit_code == 5
    measured = json.loads(result.stdout)
    assert (measured["count"], measured["errors"]) == (3, {"OVERLOADED": 2})
    error = json.loads(result.stderr)["error"]
    assert error["reason"] == "OVERLOADED"
    assert "last of 2 errors" in error["message"]
    assert node.keys == {}


def test_without_an_answer_there_are_no_percentiles(run: Run, node: FakeNode) -> None:
    full = Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="NO_SPACE", retry_after_ms=1)
    node.fail_after("Put", 1, full)
    node.fail_after("Put", 1, full)
    arguments = ["bench", "put", "--callers", "1", "--count", "1"]
    measured = json.loads(run(*arguments, "-o", "json").stdout)
    assert (measured["count"], measured["latency_ms"], measured["histogram"]) == (0, None, [])
    summary, errors = run(*arguments).stdout.splitlines()
    assert summary.startswith("put: 0 calls by 1 callers in ")
    assert errors == "1 failed: NO_SPACE"


def test_where_nothing_can_be_written_nothing_is_measured(run: Run, node: FakeNode) -> None:
    full = Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="NO_SPACE")
    node.fail("Put", full)
    result = run("bench", "put", "--callers", "1")
    assert (result.exit_code, result.stdout) == (5, "")
    assert node.methods()[-1] == "DeleteRange"


def test_keys_that_could_not_be_deleted_are_named(run: Run, node: FakeNode) -> None:
    node.fail("DeleteRange", Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="OVERLOADED"))
    result = run("bench", "put", "--callers", "1", "--count", "1")
    assert result.exit_code == 5
    assert result.stdout.startswith("put: 1 calls")
    left = re.search(r"kvctl (--hex del --prefix [0-9a-f]+)$", result.stderr.strip())
    assert left is not None
    assert run(*left[1].split(), "--yes").exit_code == 0
    assert node.keys == {}


def test_ctrl_c_prints_what_was_measured_and_deletes_the_keys(server: FakeServer, node: FakeNode) -> None:
    """On a terminal, whose bar says that it has begun."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "kvctl", "bench", "put", "--callers", "2", "--seconds", "60", "-o", "json"],
        env={**os.environ, "KVRAFT_ENDPOINTS": server.endpoint, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        while not re.search(rb"[1-9]\d*/s", seen):
            seen += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 130
    measured = json.loads(output)
    assert measured["count"] > 0
    assert measured["elapsed_s"] < 60
    assert node.methods()[-1] == "DeleteRange"
    assert node.keys == {}


def test_percentiles_are_exact_to_a_bucket() -> None:
    histogram = Histogram()
    for number in range(1, 1001):
        histogram.add(number / 1e4)
    for percent in (50, 90, 99):
        exact_s = percent / 1000
        assert exact_s <= histogram.percentile_s(percent) <= exact_s * 2 ** (1 / BUCKETS_PER_DOUBLING)
    assert histogram.percentile_s(100) == histogram.max_s == 0.1


def test_rows_are_doublings_without_gaps() -> None:
    histogram = Histogram()
    assert list(histogram.rows()) == list(histogram.lines()) == []
    for latency_s in (0.001, 0.001_999, 0.002, 0.009):
        histogram.add(latency_s)
    assert list(histogram.rows()) == [(2.0, 2), (4.0, 1), (8.0, 0), (16.0, 1)]
    bars = [line.count("█") for line in histogram.lines()]
    assert bars == [40, 20, 0, 20]
    assert math.isclose(sum(float(line.split()[-2].rstrip("%")) for line in histogram.lines()), 100)
