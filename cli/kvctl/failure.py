"""How kvctl says that something went wrong: to stderr, as text or as a JSON object, and with an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from kvctl.exit_codes import ExitCode
from kvctl.output import print_note, to_document
from kvctl.settings import Settings
from kvctl.signals import signal_of
from kvctl.streams import give_up_stdout
from kvraft.copyable import Copyable

DEBUG_VARIABLE = "KVRAFT_DEBUG"


class Failure(Copyable):
    """Ends the command with a message and an exit code.

    `fields` go into the JSON object beside the message; `reason` and `applied` always do.
    """

    def __init__(
        self, message: str, *, exit_code: ExitCode, reason: str, applied: str = "no", **fields: Any
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.fields = {"reason": reason, "applied": applied, **fields}


@contextmanager
def ending(settings: Settings) -> Iterator[None]:
    """The one place where whatever goes wrong becomes a message and an exit code, raised as click's Exit."""
    try:
        with _flushing():
            yield
    except (click.ClickException, Failure) as error:
        report(error, as_json=settings.as_json)
        raise click.exceptions.Exit(int(error.exit_code)) from None
    except click.Abort:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except KeyboardInterrupt as interrupt:
        raise click.exceptions.Exit(128 + signal_of(interrupt)) from None
    except BrokenPipeError:
        give_up_stdout()
        raise click.exceptions.Exit(ExitCode.BROKEN_PIPE) from None
    except click.exceptions.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, no user is shown a traceback
        failed = _of_file(error, settings) if isinstance(error, OSError) else _unexpected(error, settings)
        report(failed, as_json=settings.as_json)
        raise click.exceptions.Exit(failed.exit_code) from None


@contextmanager
def _flushing() -> Iterator[None]:
    """Here, where it can still be told, and not when Python exits."""
    try:
        yield
    except click.exceptions.Exit:
        _flush()
        raise
    _flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        give_up_stdout()
        raise


def _applied(settings: Settings) -> str:
    return "unknown" if settings.is_connected else "no"


def _of_file(error: OSError, settings: Settings) -> Failure:
    return Failure(str(error), exit_code=ExitCode.USAGE, reason="FILE_ERROR", applied=_applied(settings))


def _unexpected(error: Exception, settings: Settings) -> Failure:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        print_note("".join(traceback.format_exception(error)))
    return Failure(
        f"nobody expected this: {type(error).__name__}: {error}. With {DEBUG_VARIABLE}=1 in the environment "
        "kvctl says where it happened; please report it.",
        exit_code=ExitCode.INTERNAL,
        reason="INTERNAL",
        applied=_applied(settings),
    )


def report(error: Failure | click.ClickException, *, as_json: bool) -> None:
    """To stderr, if somebody reads it."""
    if isinstance(error, Failure):
        message, fields = str(error), error.fields
    else:
        message, fields = error.format_message(), {"reason": "USAGE", "applied": "no"}
    with contextlib.suppress(OSError):
        if as_json:
            about = {"message": message, "exit_code": int(error.exit_code), **fields}
            sys.stderr.write(to_document({"error": about}) + "\n")
        else:
            print_note(f"kvctl: {message}")
            if isinstance(error, click.UsageError) and error.ctx is not None:
                print_note(f"Try '{error.ctx.command_path} --help'.")
        sys.stderr.flush()
