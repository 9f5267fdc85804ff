"""The way to the cluster: the client library, with its errors as exit codes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.settings import Settings

if TYPE_CHECKING:
    from kvraft.client import Client, KvraftError, SyncClient


@contextmanager
def connect(settings: Settings) -> Iterator[SyncClient]:
    """A client for the cluster. What fails within becomes a Failure."""
    # gRPC would write about lost connections to stderr by itself.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from kvraft.client import KvraftError, SyncClient

    try:
        client = SyncClient(settings.endpoints, timeout_s=settings.timeout_s)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        with client:
            yield client
    except KvraftError as error:
        raise _failure(error) from error


@asynccontextmanager
async def connect_async(settings: Settings) -> AsyncIterator[Client]:
    """The same for what needs an event loop."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from kvraft.client import Client, KvraftError

    try:
        client = Client(settings.endpoints, timeout_s=settings.timeout_s)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        async with client:
            yield client
    except KvraftError as error:
        raise _failure(error) from error


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
