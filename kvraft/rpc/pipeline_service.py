"""PipelineService: batches of commands and reads on one stream, many of them under way at a time.

Each batch is a task of its own, so that answers leave as they are ready; one task writes them
(`kvraft.rpc.outbox` holds them until then).
"""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from google.protobuf.message import Message

from kvraft import errors
from kvraft.errors import Reason, RequestError
from kvraft.machine import keys
from kvraft.machine.records import KvRecord
from kvraft.machine.results import ListResult
from kvraft.node.node import Node
from kvraft.rpc import pipeline_requests
from kvraft.rpc.calls import CALL
from kvraft.rpc.freshness import until_fresh
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.outbox import Outbox
from kvraft.rpc.paging import key_value
from kvraft.rpc.sending import send_held
from kvraft.rpc.status import answering_errors, request_error_of
from kvraft.storage.errors import StorageError
from kvraft.v1 import pipeline_pb2, pipeline_pb2_grpc

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
        outbox = Outbox()
        reader = asyncio.create_task(self._serve(requests, outbox))
        reader.add_done_callback(lambda _: outbox.close())
        try:
            async for answer in outbox:
                await send_held(context, answer, self._reader_timeout_s)
                outbox.sent(answer)
            reader.result()
        finally:
            reader.cancel()
            await asyncio.wait((reader,))
            outbox.clear()

    async def _serve(self, requests: AsyncIterator[pipeline_pb2.PipelineRequest], outbox: Outbox) -> None:
        """Until the client asks for nothing more and everything is answered. Raises RequestError for what is
        no request; what came before it is answered all the same."""
        failure: RequestError | None = None
        async with asyncio.TaskGroup() as under_way:
            try:
                async for request in requests:
                    await outbox.window.acquire()
                    under_way.create_task(self._answer(request, outbox))
            except RequestError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _answer(self, request: pipeline_pb2.PipelineRequest, outbox: Outbox) -> None:
        response = pipeline_pb2.PipelineResponse(tag=request.tag)
        try:
            match request.WhichOneof("batch"):
                case "writes":
                    await outbox.until_room()
                    revision = await self._write(request.writes, response)
                case "reads":
                    revision = await self._read(request.reads, response, outbox)
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
        answer = response.SerializeToString()
        call = CALL.get()
        if not call.hold(len(answer)):
            answer = _not_kept(request, response, call.refusal())
        outbox.put(answer)

    async def _write(self, batch: pipeline_pb2.WriteBatch, response: pipeline_pb2.PipelineResponse) -> int:
        write = pipeline_requests.write_command(batch)
        answer = await self._node.write(write.command, grows_state=write.grows_state, work=write.work)
        result = answer.result
        assert isinstance(result, ListResult), result
        pipeline_requests.write_results(response, batch.commands, result.answers)
        return answer.revision

    async def _read(
        self, batch: pipeline_pb2.ReadBatch, response: pipeline_pb2.PipelineResponse, outbox: Outbox
    ) -> int:
        pipeline_requests.check_reads(batch)
        await until_fresh(self._node, batch.consistency, batch.min_revision)
        await outbox.until_room()
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


def _not_kept(
    request: pipeline_pb2.PipelineRequest, response: pipeline_pb2.PipelineResponse, why: str
) -> bytes:
    """The answer instead of one that there is no room for."""
    failure = errors.answer_not_kept(why) if request.HasField("writes") else errors.overloaded(why)
    instead = pipeline_pb2.PipelineResponse(tag=response.tag, header=response.header)
    pipeline_requests.fill_error(instead.error, failure)
    return instead.SerializeToString()
