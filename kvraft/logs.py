"""Logs: one line per event on stderr, for people or for machines, each with the node and its cluster.

Keys and values of clients are never logged, and tracebacks show no local variables. What happens again and
again is logged a few times a minute, and how often it was not.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable
from typing import cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from kvraft.config import LogFormat, LogLevel
from kvraft.log_output import LogOutput

LINES_PER_MINUTE = 10
"""Of the same event: of the same stream, the same peer, the same method."""
_KINDS_MAX = 1_000


class Repetitions:
    """Counts lines by kind and minute. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[Hashable, int] = {}
        self._not_logged: dict[Hashable, int] = {}

    def admit(self, kind: Hashable, *, lines_max: int = LINES_PER_MINUTE) -> int | None:
        """None: there were enough of these in this minute. Otherwise how many were left out since the last
        one that was logged."""
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute or len(self._counts) > _KINDS_MAX:
                self._minute = minute
                self._counts.clear()
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            if count > lines_max:
                self._not_logged[kind] = self._not_logged.get(kind, 0) + 1
                return None
            return self._not_logged.pop(kind, 0)


_BROKEN_CALL = "calls ended under their answers: their clients gave them up, or broke the rules of HTTP/2"


def _is_broken_call(record: logging.LogRecord) -> bool:
    """Whether gRPC, or a task of its own, tells that a call could not be gone on with."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ == "ExecuteBatchError" and record.name in {"grpc._cython.cygrpc", "asyncio"}


class _Limit(logging.Filter):
    """Of what libraries log."""

    def __init__(self, repetitions: Repetitions) -> None:
        super().__init__()
        self._repetitions = repetitions

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_broken_call(record):
            # The traceback shows gRPC's own frames, for each of as many calls as a client cares to break.
            record.msg, record.args, record.exc_info = _BROKEN_CALL, (), None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            not_logged = self._repetitions.admit(_BROKEN_CALL, lines_max=1)
        else:
            not_logged = self._repetitions.admit((record.name, record.msg))
        if not_logged:
            record.msg = f"{record.msg} [{not_logged} more of these were not logged]"
        return not_logged is not None


def configure_logs(
    *, level: LogLevel, log_format: LogFormat, node: int | None = None, cluster: str | None = None
) -> None:
    """Sets up structlog for this process, and what libraries log through `logging`."""
    repetitions = Repetitions()
    origin = {"node": node, "cluster": cluster} if node is not None else {}

    def limit(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        peer = event.get("peer")
        kind = (
            event["event"],
            event.get("stream"),
            event.get("method"),
            peer if isinstance(peer, int) else None,
        )
        not_logged = repetitions.admit(kind)
        if not_logged is None:
            raise structlog.DropEvent
        return {**event, "not_logged": not_logged} if not_logged else event

    def name_origin(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**origin, **event}

    describe: list[Processor] = [
        name_origin,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _renderers(log_format)
    structlog.configure(
        processors=[limit, *describe, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(sys.stderr)
    libraries.addFilter(_Limit(repetitions))
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=describe,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    if isinstance(sys.stderr, LogOutput):
        sys.stderr.lost_line = lambda count: _render([*describe, *render], count)


def _renderers(log_format: LogFormat) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # structlog's default would print the local variables of every frame, and keys with them.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _render(processors: list[Processor], lines_lost: int) -> str:
    """The line that tells of lost ones, in the format of the others."""
    event: object = {"event": "log lines were lost: stderr did not take them", "lines_lost": lines_lost}
    for processor in processors:
        event = processor(None, "warning", cast(EventDict, event))
    return f"{event}\n"
