"""PipelineService: batches of commands and reads on one stream, many of them under way at a time.

Each batch is a task of its own, so that answers leave as they are ready; one task writes them. A window
bounds what a stream has under way: while it is full nothing is read, and HTTP/2 holds the caller back.
"""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from google.protobuf.message import Message

from kvraft.errors import Reason
from kvraft.machine import keys
from kvraft.machine.records import KvRecord
from kvraft.machine.results import ListResult
from kvraft.node.node import Node
from kvraft.rpc import pipeline_requests
from kvraft.rpc.freshness import until_fresh
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.paging import key_value
from kvraft.rpc.sending import send
from kvraft.rpc.status import answering_errors, request_error_of
from kvraft.storage.errors import StorageError
from kvraft.v1 import pipeline_pb2, pipeline_pb2_grpc

WINDOW = 64
"""Batches of one stream that are under way."""
READER_TIMEOUT_S = 30.0
"""How long answers wait for a caller that does not read."""

Context = grpc.aio.ServicerContext[Message, Message]


class PipelineServicer(pipeline_pb2_grpc.PipelineServiceServicer):
    """Serves the pipelines of one node."""

    def __init__(
        self, node: Node, headers: ResponseHeaders, *, reader_timeout_s: float = READER_TIMEOUT_S
    ) -> None:
        self._node = node
        self._headers = headers
        self._reader_timeout_s = reader_timeout_s

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    @answering_errors
    async def Pipeline(self, requests: AsyncIterator[pipeline_pb2.PipelineRequest], context: Context) -> None:
        answers: asyncio.Queue[pipeline_pb2.PipelineResponse | None] = asyncio.Queue()
        window = asyncio.Semaphore(WINDOW)

        async def serve(request: pipeline_pb2.PipelineRequest) -> None:
            answers.put_nowait(await self._answer(request))

        async def read() -> None:
            async with asyncio.TaskGroup() as under_way:
                async for request in requests:
                    await window.acquire()
                    under_way.create_task(serve(request))

        reader = asyncio.create_task(read())
        reader.add_done_callback(lambda _: answers.put_nowait(None))
        try:
            while (answer := await answers.get()) is not None:
                await send(context, answer, self._reader_timeout_s)
                window.release()
        finally:
            reader.cancel()
            await asyncio.wait((reader,))

    async def _answer(self, request: pipeline_pb2.PipelineRequest) -> pipeline_pb2.PipelineResponse:
        response = pipeline_pb2.PipelineResponse(tag=request.tag)
        try:
            match request.WhichOneof("batch"):
                case "writes":
                    revision = await self._write(request.writes, response)
                case "reads":
                    revision = await self._read(request.reads, response)
                case _:
                    raise invalid("batch", "is empty; set either `writes` or `reads`")
        except Exception as error:  # noqa: BLE001 - whatever it is, the other batches go on
            failure = request_error_of(error, self, "Pipeline")
            pipeline_requests.fill_error(response.error, failure)
            if failure.reason is Reason.NO_SPACE:
                positions = pipeline_requests.growing_positions(request.writes)
                response.error.refused_positions.extend(positions)
            revision = self._node.replica.machine.revision
        response.header.CopyFrom(self._headers.at(revision))
        return response

    async def _write(self, batch: pipeline_pb2.WriteBatch, response: pipeline_pb2.PipelineResponse) -> int:
        write = pipeline_requests.write_command(batch)
        answer = await self._node.write(write.command, grows_state=write.grows_state)
        result = answer.result
        assert isinstance(result, ListResult), result
        pipeline_requests.write_results(response, batch.commands, result.answers)
        return answer.revision

    async def _read(self, batch: pipeline_pb2.ReadBatch, response: pipeline_pb2.PipelineResponse) -> int:
        pipeline_requests.check_reads(batch)
        await until_fresh(self._node, batch.consistency, batch.min_revision)
        # Nothing is awaited from here on: all values are of one revision.
        replica = self._node.replica
        state_get, add = replica.state.get, response.values.add
        bytes_left = pipeline_requests.RESPONSE_BYTES_MAX
        for key in batch.keys:
            if bytes_left <= 0:
                add(omitted=True)
                continue
            row = state_get(keys.KV + key)
            if row is None:
                add()
            else:
                bytes_left -= len(row)
                add(kv=key_value(key, KvRecord.decode(row)))
        return replica.machine.revision
