"""Logs: one line per event on stderr, for people or for machines.

Keys and values of clients are never logged, and tracebacks show no local variables.
"""

from __future__ import annotations

import logging
import sys

import structlog

from kvraft.config import LogFormat, LogLevel


def configure_logs(*, level: LogLevel, log_format: LogFormat) -> None:
    """Sets up structlog for this process, and what libraries log through `logging`."""
    describe: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor]
    if log_format == "json":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # structlog's default would print the local variables of every frame, and keys with them.
        render = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*describe, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=describe,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)
