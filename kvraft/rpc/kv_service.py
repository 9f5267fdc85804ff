"""KvService: check the request, ask the node once, dress the answer.

A write becomes a command and waits for its answer from the log. A read waits until the state is
fresh enough and then looks at it in one go, without an await in between: what it sees is one
revision. Only what may be long (counts, streams) reads a view, slice by slice, so that the node's
turns go on meanwhile; a view stays good even if a received snapshot becomes the state under it.
"""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from kvraft.machine import kv
from kvraft.machine.results import Result
from kvraft.node.node import Node
from kvraft.rpc import kv_requests, kv_responses
from kvraft.rpc.freshness import until_fresh
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import Write
from kvraft.rpc.paging import PageToken, Query, Row, count_rows, take_page
from kvraft.rpc.sending import send
from kvraft.rpc.status import answering_errors
from kvraft.rpc.txn_requests import txn_command
from kvraft.rpc.txn_responses import txn_response
from kvraft.rpc.watch_service import WatchService
from kvraft.storage.errors import StorageError
from kvraft.v1 import kv_pb2, kv_pb2_grpc

PAGE_BYTES_MAX = 1 << 20
"""A page of Range ends when its keys and values reach this; one value more may exceed it."""
SLICE_ROWS_MAX = 100
SLICE_BYTES_MAX = 256 << 10
"""What a long read takes between two breaths of the loop, and a page of StreamRange. A trade:
with slices of 500 rows streams were about a third faster, but a put beside a scan took 26 to 37 ms and
not 9 to 13 (medians of three interleaved runs, three nodes and their callers on two busy cores)."""
READER_TIMEOUT_S = 30.0
"""How long a stream waits for its caller to take a page: meanwhile it pins pages of the state."""

Context = grpc.aio.ServicerContext[Message, Message]
RequestT = TypeVar("RequestT")
WriteResponseT = TypeVar(
    "WriteResponseT",
    kv_pb2.PutResponse,
    kv_pb2.DeleteResponse,
    kv_pb2.DeleteRangeResponse,
    kv_pb2.CompareAndSetResponse,
    kv_pb2.BatchWriteResponse,
    kv_pb2.TxnResponse,
)


class KvServicer(kv_pb2_grpc.KvServiceServicer):
    """Serves the key-value space of one node."""

    def __init__(
        self, node: Node, headers: ResponseHeaders, *, reader_timeout_s: float = READER_TIMEOUT_S
    ) -> None:
        self._node = node
        self._headers = headers
        self._reader_timeout_s = reader_timeout_s
        self._watches = WatchService(node, headers, reader_timeout_s=reader_timeout_s)

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    # --- writes -------------------------------------------------------------------------------

    @answering_errors
    async def Put(self, request: kv_pb2.PutRequest, _context: Context) -> kv_pb2.PutResponse:
        return await self._write(request, kv_requests.put_command(request), kv_responses.put)

    @answering_errors
    async def Delete(self, request: kv_pb2.DeleteRequest, _context: Context) -> kv_pb2.DeleteResponse:
        return await self._write(request, kv_requests.delete_command(request), kv_responses.delete)

    @answering_errors
    async def DeleteRange(
        self, request: kv_pb2.DeleteRangeRequest, _context: Context
    ) -> kv_pb2.DeleteRangeResponse:
        return await self._write(
            request, kv_requests.delete_range_command(request), kv_responses.delete_range
        )

    @answering_errors
    async def CompareAndSet(
        self, request: kv_pb2.CompareAndSetRequest, _context: Context
    ) -> kv_pb2.CompareAndSetResponse:
        command = kv_requests.compare_and_set_command(request)
        return await self._write(request, command, kv_responses.compare_and_set)

    @answering_errors
    async def BatchWrite(
        self, request: kv_pb2.BatchWriteRequest, _context: Context
    ) -> kv_pb2.BatchWriteResponse:
        return await self._write(request, kv_requests.batch_write_command(request), kv_responses.batch_write)

    @answering_errors
    async def Txn(self, request: kv_pb2.TxnRequest, _context: Context) -> kv_pb2.TxnResponse:
        return await self._write(request, txn_command(request), txn_response)

    async def _write(
        self, request: RequestT, write: Write, respond: Callable[[RequestT, Result], WriteResponseT]
    ) -> WriteResponseT:
        answer = await self._node.write(write.command, grows_state=write.grows_state)
        response = respond(request, answer.result)
        response.header.CopyFrom(self._headers.at(answer.revision))
        return response

    # --- reads --------------------------------------------------------------------------------

    @answering_errors
    async def Get(self, request: kv_pb2.GetRequest, _context: Context) -> kv_pb2.GetResponse:
        key = request.key
        kv_requests.check_key("key", key)
        await until_fresh(self._node, request.consistency, request.min_revision)
        replica = self._node.replica
        return kv_pb2.GetResponse(
            header=self._headers.at(replica.machine.revision),
            kv=kv_responses.found(key, kv.get(replica.state, key)),
        )

    @answering_errors
    async def Range(self, request: kv_pb2.RangeRequest, _context: Context) -> kv_pb2.RangeResponse:
        query = Query(kv_requests.check_range(request.range), request.reverse, request.keys_only)
        page_size = kv_requests.check_page_size(request.page_size)
        if request.count_only:
            return await self._count(query, request)
        if request.page_token:
            kv_requests.check_consistency(request.consistency, request.min_revision)
            token = PageToken.decode(request.page_token, query)
            await self._node.at_least(max(token.revision, request.min_revision))
            start, end = query.after(token.last_key)
        else:
            await until_fresh(self._node, request.consistency, request.min_revision)
            start, end = query.bounds
        replica = self._node.replica
        revision = replica.machine.revision
        rows = kv.scan(replica.state, start, end, reverse=query.reverse)
        page = take_page(rows, rows_max=page_size, bytes_max=PAGE_BYTES_MAX, keys_only=query.keys_only)
        more = next(rows, None) is not None
        return kv_pb2.RangeResponse(
            header=self._headers.at(revision),
            kvs=page,
            next_page_token=PageToken(page[-1].key, revision).encode(query) if more else "",
        )

    async def _count(self, query: Query, request: kv_pb2.RangeRequest) -> kv_pb2.RangeResponse:
        if request.page_token:
            raise kv_requests.invalid("page_token", "is set, but a count has no pages")
        await until_fresh(self._node, request.consistency, request.min_revision)
        replica = self._node.replica
        revision = replica.machine.revision
        count = 0
        with replica.views.open(replica.state) as view:
            rows = kv.scan(view, *query.bounds)
            while counted := count_rows(rows, rows_max=SLICE_ROWS_MAX, bytes_max=SLICE_BYTES_MAX):
                count += counted
                await asyncio.sleep(0)
        return kv_pb2.RangeResponse(header=self._headers.at(revision), count=count)

    @answering_errors
    async def StreamRange(self, request: kv_pb2.StreamRangeRequest, context: Context) -> None:
        bounds = kv_requests.check_range(request.range)
        await until_fresh(self._node, request.consistency, request.min_revision)
        replica = self._node.replica
        header = self._headers.at(replica.machine.revision)
        limit = min(request.limit, sys.maxsize) if request.limit else None
        with replica.views.open(replica.state) as view:
            rows = islice(kv.scan(view, *bounds, reverse=request.reverse), limit)
            is_first = True
            while (page := _next_slice(rows, keys_only=request.keys_only)) or is_first:
                is_first = False  # sent even if it is empty, for the revision in its header
                response = kv_pb2.StreamRangeResponse(header=header, kvs=page)
                await send(context, response, self._reader_timeout_s)

    @answering_errors
    async def Watch(self, requests: AsyncIterator[kv_pb2.WatchRequest], context: Context) -> None:
        await self._watches.serve(requests, context)


def _next_slice(rows: Iterator[Row], *, keys_only: bool) -> list[kv_pb2.KeyValue]:
    return take_page(rows, rows_max=SLICE_ROWS_MAX, bytes_max=SLICE_BYTES_MAX, keys_only=keys_only)
