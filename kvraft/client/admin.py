"""Users as a whole: export, erasure, and the search for broken laws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from kvraft.client.arguments import checked
from kvraft.client.endpoint import answer
from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.listing import PAGE_SIZE, Listing
from kvraft.client.method import Method, ResponseT
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.results import Header
from kvraft.client.status import error_of_attempt, in_doubt
from kvraft.client.user_data import write
from kvraft.v1 import admin_pb2

_EXPORT = Method("/kvraft.v1.AdminService/ExportUser", admin_pb2.ExportUserResponse.FromString)
_ERASURE = Method("/kvraft.v1.AdminService/GetErasure", admin_pb2.GetErasureResponse.FromString)
_CHECK = Method("/kvraft.v1.AdminService/CheckState", admin_pb2.CheckStateResponse.FromString)
_AUDIT = Method("/kvraft.v1.AdminService/ListAuditEntries", admin_pb2.ListAuditEntriesResponse.FromString)


@dataclass(frozen=True, slots=True)
class EraseUserResult:
    header: Header
    existed: bool
    """Whether there was such a user."""
    erasure_id: int
    """What `erasure` takes; 0: there was nothing to erase."""
    removed_rows: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """How far one node has come with an erasure."""

    header: Header
    applied: bool
    """Whether no read finds the user any more."""
    log_clean: bool
    """Whether no file of the node's log holds anything of the user any more."""
    state_clean: bool
    """Whether no file of its state does."""
    clean_time: datetime | None
    """When the node's files were last made anew; None: what was erased is still in them."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to do."""
        return self.applied and self.log_clean and self.state_clean

    @classmethod
    def of(cls, response: admin_pb2.GetErasureResponse) -> Erasure:
        is_clean = response.HasField("clean_time")
        return cls(
            Header.of(response.header),
            response.applied,
            response.log_clean,
            response.state_clean,
            response.clean_time.ToDatetime(UTC) if is_clean else None,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken law."""

    law: str
    """COUNTER_LAW, DANGLING_REFERENCE, ORPHANED_BODY, REFERENCE_COUNT, MISPLACED_INDEX or UNREADABLE_ROW."""
    subject: str
    """Where: a user, device, group."""
    detail: str


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """A step of a check."""

    header: Header
    """`revision` is what is checked."""
    findings: tuple[Finding, ...]
    """What this step found."""
    checked_rows: int
    """So far."""
    total_rows: int
    """Roughly, as far as can be told so far."""
    done: bool


class AuditAction(StrEnum):
    """What was done with a user's data."""

    EXPORT_USER = "export-user"
    ERASE_USER = "erase-user"


_ACTIONS = {
    admin_pb2.AuditEntry.ACTION_EXPORT_USER: AuditAction.EXPORT_USER,
    admin_pb2.AuditEntry.ACTION_ERASE_USER: AuditAction.ERASE_USER,
}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    revision: int
    time: datetime
    """By the cluster's clock."""
    action: AuditAction
    user_id_sha256: bytes
    """The entry can be checked against a user id, but does not keep it."""
    note: str
    """Who asked and why."""

    @classmethod
    def of(cls, message: admin_pb2.AuditEntry) -> AuditEntry:
        return cls(
            message.revision,
            message.time.ToDatetime(UTC),
            _ACTIONS[message.action],
            message.user_id_sha256,
            message.note,
        )


@dataclass(frozen=True, slots=True)
class AuditPage:
    header: Header
    entries: tuple[AuditEntry, ...]
    """Newest first."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class UserExport:
    """Iterates over the lines of an export, parsed: `async for line in client.admin.export_user("alice")`.
    The last one has the kind `end`; an export without it is not whole.

    Raises KvraftError; NotFound if there is no such user. A stream that breaks raises: what is read again is
    of another revision.
    """

    failover: Failover
    request: admin_pb2.ExportUserRequest

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for line in page:
                    yield line

    async def pages(self) -> AsyncGenerator[tuple[dict[str, Any], ...], None]:
        """The same in the pieces in which they arrive."""
        async with aclosing(_stream(self.failover, _EXPORT, self.request)) as responses:
            async for response in responses:
                yield tuple(json.loads(line) for line in response.lines.splitlines())


@dataclass(frozen=True, slots=True)
class StateCheck:
    """Iterates over the steps of a check: `async for step in client.admin.check()`. The last one is `done`.

    Raises KvraftError. A stream that breaks raises: ask for another check.
    """

    failover: Failover
    request: admin_pb2.CheckStateRequest

    async def __aiter__(self) -> AsyncIterator[CheckProgress]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for step in page:
                    yield step

    async def pages(self) -> AsyncGenerator[tuple[CheckProgress, ...], None]:
        """The same, each step by itself."""
        async with aclosing(_stream(self.failover, _CHECK, self.request)) as responses:
            async for response in responses:
                findings = tuple(Finding(each.law, each.subject, each.detail) for each in response.findings)
                yield (
                    CheckProgress(
                        Header.of(response.header),
                        findings,
                        response.checked_rows,
                        response.total_rows,
                        response.done,
                    ),
                )


@checked
class Admin:
    """`client.admin`. Every method raises KvraftError."""

    __slots__ = ("_failover", "_pipeline")

    def __init__(self, failover: Failover, pipeline: Pipeline) -> None:
        self._failover = failover
        self._pipeline = pipeline

    def export_user(self, user_id: str, *, note: str = "") -> UserExport:
        """Everything that is stored of a user, at one revision. `note`, at most 256 bytes, says in the audit
        entry who asks and why."""
        return UserExport(self._failover, admin_pb2.ExportUserRequest(user_id=user_id, note=note))

    async def erase_user(self, user_id: str, *, note: str = "") -> EraseUserResult:
        """Removes everything of a user, for every reader at once; when the files of the nodes have lost it
        too, `erasure` tells."""
        request = admin_pb2.EraseUserRequest(user_id=user_id, note=note)
        header, response = await write(self._pipeline, "erase_user", request)
        return EraseUserResult(header, response.existed, response.erasure_id, response.removed_rows)

    async def erasure(self, erasure_id: int) -> dict[str, Erasure | KvraftError]:
        """Asks every endpoint how far it has come; for one that does not answer, why. The erasure is done
        when every node of the cluster `is_clean`."""
        request = admin_pb2.GetErasureRequest(erasure_id=erasure_id)

        async def ask(endpoint: str) -> Erasure | KvraftError:
            try:
                return Erasure.of(await self._failover.call_at(endpoint, _ERASURE, request))
            except KvraftError as error:
                return error

        addresses = self._failover.addresses
        return dict(zip(addresses, await asyncio.gather(*map(ask, addresses)), strict=True))

    def check(self, *, max_findings: int = 100) -> StateCheck:
        """Looks at every row of user data for what breaks a law, until it has found as many (1 to 10,000)."""
        return StateCheck(self._failover, admin_pb2.CheckStateRequest(max_findings=max_findings))

    async def audit(
        self, *, page_size: int = 50, page_token: str = "", consistency: Consistency = LINEARIZABLE
    ) -> AuditPage:
        """Reads one page of audit entries, newest first: at most `page_size` (1 to 1,000). For the next one
        give its `next_page_token`."""
        level, min_revision = consistency_fields(consistency)
        request = admin_pb2.ListAuditEntriesRequest(
            page_size=page_size, page_token=page_token, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_AUDIT, request)
        return AuditPage(
            Header.of(response.header),
            tuple(map(AuditEntry.of, response.entries)),
            response.next_page_token,
        )

    def all_audit_entries(self, *, consistency: Consistency = LINEARIZABLE) -> Listing[AuditEntry]:
        """Every audit entry, newest first."""

        async def read_page(token: str) -> tuple[tuple[AuditEntry, ...], str]:
            page = await self.audit(page_size=PAGE_SIZE, page_token=token, consistency=consistency)
            return page.entries, page.next_page_token

        return Listing(read_page)


async def _stream(
    failover: Failover, method: Method[ResponseT], request: Message
) -> AsyncGenerator[ResponseT, None]:
    """The responses of a stream, from an endpoint that works. Raises KvraftError, once one has come also for
    what another attempt would mend; DeadlineExceeded when none came for the client's timeout."""
    pacing = failover.pacing()
    maybe_applied = False
    while True:
        endpoint = failover.endpoint
        call = endpoint.stream(method, request)
        has_begun = False
        error: KvraftError
        try:
            while True:
                # Cancels the call only when a node hangs, which ends this stream anyway.
                response = await answer(call.read(), failover.timeout_s)
                if response is grpc.aio.EOF:
                    return
                has_begun = True
                yield cast(ResponseT, response)
        except grpc.aio.AioRpcError as status:
            error = error_of_attempt(status, method, endpoint.address)
        finally:
            call.cancel()
        if has_begun:
            raise error
        maybe_applied = maybe_applied or error.applied == "unknown"
        try:
            await failover.before_next(error, endpoint, pacing, repeatable=method.is_repeatable)
        except KvraftError as final:
            raise in_doubt(final, maybe_applied=maybe_applied) from None
