"""The way to the cluster: the client library, with its errors as exit codes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.settings import Settings

if TYPE_CHECKING:
    from kvraft.client import Client, KvraftError, Status, SyncClient


LOOK_S = 1.0
"""How long the endpoints are asked how they are when a call failed."""


@contextmanager
def connect(
    settings: Settings, *, endpoints: str | None = None, register: bool = False
) -> Iterator[SyncClient]:
    """A client for the cluster, or for other endpoints than the settings name; registered, where it writes
    more than once. What fails within becomes a Failure."""
    _prepare(settings)
    from kvraft.client import DeadlineExceeded, SyncClient, Unavailable

    with _failing():
        with checked():
            client = SyncClient(
                endpoints or settings.endpoints, timeout_s=settings.timeout_s, register=register
            )
        with client:
            try:
                yield client
            except (Unavailable, DeadlineExceeded) as error:
                # Over the same connections: gRPC does not like another event loop after this one.
                _tell(error, client.with_timeout(LOOK_S).cluster.status_of_all())
                raise


@asynccontextmanager
async def connect_async(settings: Settings) -> AsyncIterator[Client]:
    """The same for what needs an event loop."""
    _prepare(settings)
    from kvraft.client import Client, DeadlineExceeded, Unavailable

    with _failing():
        with checked():
            client = Client(settings.endpoints, timeout_s=settings.timeout_s)
        async with client:
            try:
                yield client
            except (Unavailable, DeadlineExceeded) as error:
                _tell(error, await client.with_timeout(LOOK_S).cluster.status_of_all())
                raise


def _prepare(settings: Settings) -> None:
    # gRPC would write about lost connections to stderr by itself.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    settings.is_connected = True


@contextmanager
def checked() -> Iterator[None]:
    """What the library says of its arguments is of the command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def _failing() -> Iterator[None]:
    from kvraft.client.errors import KvraftError

    try:
        yield
    except KvraftError as error:
        raise _failure(error) from error


def _tell(error: KvraftError, answers: Mapping[str, Status | KvraftError]) -> None:
    """Adds how each endpoint is, if there are several: the last one that was tried is seldom the reason."""
    from kvctl.healthiness import healths

    if len(answers) > 1:
        for each in sorted(healths(answers), key=lambda each: not each.answers):
            error.add_note(f"  {each.endpoint}: {each.text}")


def _failure(error: KvraftError) -> Failure:
    from kvraft.client import InvalidArgument, ResourceExhausted

    message = "\n".join([str(error), *getattr(error, "__notes__", [])])
    fields: dict[str, object] = {}
    if isinstance(error, InvalidArgument):
        fields["violations"] = [asdict(violation) for violation in error.violations]
    if isinstance(error, ResourceExhausted):
        fields["retry_after_s"] = error.retry_after_s
    return Failure(message, exit_code=_exit_code(error), reason=error.reason, applied=error.applied, **fields)


def _exit_code(error: KvraftError) -> ExitCode:
    from kvraft.client import (
        Aborted,
        AlreadyExists,
        DeadlineExceeded,
        FailedPrecondition,
        InvalidArgument,
        LeaseExists,
        LeaseLost,
        LeaseNotFound,
        NotFound,
        OutcomeUnknown,
        OutOfRange,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
    )

    match error:
        case InvalidArgument():
            return ExitCode.USAGE
        case Unavailable() | DeadlineExceeded():
            return ExitCode.UNAVAILABLE
        case OutcomeUnknown():
            return ExitCode.OUTCOME_UNKNOWN
        case ResourceExhausted():
            return ExitCode.REFUSED
        case LeaseNotFound() | LeaseExists() | NotFound() | AlreadyExists():
            return ExitCode.NOT_FOUND
        case FailedPrecondition() | Aborted() | OutOfRange():
            return ExitCode.NOT_FOUND
        case PermissionDenied() | Unauthenticated():
            return ExitCode.DENIED
        case LeaseLost():
            return ExitCode.LEASE_LOST
        case _:
            return ExitCode.INTERNAL
