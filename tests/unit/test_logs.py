"""What a log line looks like, and what it never shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from kvraft.config import LogFormat, LogLevel
from kvraft.logs import LINES_PER_MINUTE, Repetitions, configure_logs

SECRET = "what-a-client-stored"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str], log_format: LogFormat, level: LogLevel = "info") -> list[str]:
    """The lines of an event, of one below the level, of a library's warning and of an exception."""
    configure_logs(level=level, log_format=log_format)
    logger = structlog.get_logger("kvraft.test")
    logger.debug("hidden")
    logger.info("role", term=3)
    logging.getLogger("grpc").warning("from a library")
    try:
        _fail(SECRET.encode())
    except ZeroDivisionError:
        logger.exception("failed")
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.splitlines()


def _fail(value: bytes) -> float:
    return len(value) / 0


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    role, library, failed = map(json.loads, logged(capsys, "json"))
    assert (role["event"], role["level"], role["term"]) == ("role", "info", 3)
    assert role["timestamp"].endswith("Z")
    assert (library["event"], library["level"]) == ("from a library", "warning")
    assert "ZeroDivisionError" in failed["exception"]


def test_text_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(capsys, "text")
    assert "[info     ] role" in lines[0]
    assert "term=3" in lines[0]
    assert "[warning  ] from a library" in lines[1]
    assert lines[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_tracebacks_show_no_local_variables(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    assert SECRET not in "\n".join(logged(capsys, log_format))


def test_the_level_hides_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(line)["event"] for line in logged(capsys, "json", "debug")][:2] == ["hidden", "role"]
    assert [json.loads(line)["event"] for line in logged(capsys, "json", "error")] == [
        "from a library",
        "failed",
    ]


def test_every_line_names_the_node_and_its_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="info", log_format="json", node=3, cluster="chat")
    structlog.get_logger("kvraft.test").info("role")
    logging.getLogger("grpc").warning("from a library")
    for line in map(json.loads, capsys.readouterr().err.splitlines()):
        assert (line["node"], line["cluster"]) == (3, "chat")


def test_what_repeats_is_logged_a_few_times_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Of each stream, peer and method; of a library's, of each text before its values are put in."""
    configure_logs(level="info", log_format="json")
    logger = structlog.get_logger("kvraft.test")
    for number in range(100):
        logger.info("stream closed", stream="a", attempts=number)
        logger.info("stream closed", stream="b", attempts=number)
        logging.getLogger("grpc").warning("failed %d", number)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) in range(3 * LINES_PER_MINUTE, 6 * LINES_PER_MINUTE + 1)


def test_how_much_was_not_logged_is_told_in_the_next_minute() -> None:
    now_s = 0.0
    repetitions = Repetitions(lambda: now_s)
    admitted = [repetitions.admit("a") for _ in range(LINES_PER_MINUTE + 7)]
    assert admitted == [0] * LINES_PER_MINUTE + [None] * 7
    assert repetitions.admit("b") == 0
    now_s = 61.0
    assert [repetitions.admit("a") for _ in range(2)] == [7, 0]


class ExecuteBatchError(Exception):
    """As gRPC's own is called."""


def test_calls_that_clients_break_are_one_line_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(level="info", log_format="json")
    for name, what in (("grpc._cython.cygrpc", "raised in core by [%s]"), ("asyncio", "never retrieved %s")):
        for number in range(100):
            try:
                raise ExecuteBatchError("GRPC_CALL_ERROR_TOO_MANY_OPERATIONS")
            except ExecuteBatchError:
                logging.getLogger(name).exception(what, number)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) in (1, 2)  # a minute may have ended meanwhile
    assert lines[0]["event"].startswith("calls ended under their answers")
    assert (lines[0]["level"], "exception" in lines[0]) == ("warning", False)
