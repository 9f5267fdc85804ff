"""The real services over a state machine in memory, without a log or peers, served from a thread: for
tests of what the client library and kvctl say to a node, where the answer is the machine's."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal

import grpc.aio

from kvraft.rpc.client_service import ClientServicer
from kvraft.rpc.gate import Gate
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_service import KvServicer
from kvraft.rpc.pipeline_service import PipelineServicer
from kvraft.v1 import client_pb2_grpc, kv_pb2_grpc, pipeline_pb2_grpc
from tests.unit.rpc.fake_node import CLUSTER_ID, FakeNode


class MachineServer:
    """Serves for as long as it is entered, on a free port of the loopback."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="machine-server")

    def __enter__(self) -> MachineServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        asyncio.run_coroutine_threadsafe(self._server.stop(None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return False

    async def _serve(self) -> None:
        node = FakeNode()
        headers = ResponseHeaders(node, CLUSTER_ID)
        self._server = grpc.aio.server()
        gate = Gate(self._server)
        kv_pb2_grpc.add_KvServiceServicer_to_server(KvServicer(node, headers), gate)
        client_pb2_grpc.add_ClientServiceServicer_to_server(ClientServicer(node, headers), gate)
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(PipelineServicer(node, headers), gate)
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
