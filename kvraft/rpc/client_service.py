"""ClientService: registers the clients whose numbered writes are applied once."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import grpc
from google.protobuf.message import Message

from kvraft.machine.clients import CLIENT_IDLE_MS
from kvraft.machine.results import RegisterClientResult
from kvraft.node.node import Node
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.status import answering_errors
from kvraft.storage.errors import StorageError
from kvraft.v1 import client_pb2, client_pb2_grpc, command_pb2

Context = grpc.aio.ServicerContext[Message, Message]


class ClientServicer(client_pb2_grpc.ClientServiceServicer):
    """Serves registrations on one node."""

    def __init__(self, node: Node, headers: ResponseHeaders) -> None:
        self._node = node
        self._headers = headers

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    @answering_errors
    async def RegisterClient(
        self, _request: client_pb2.RegisterClientRequest, _context: Context
    ) -> client_pb2.RegisterClientResponse:
        command = command_pb2.Command(register_client=command_pb2.RegisterClientCommand())
        # Also on a full disk, for which the reserve has room: whoever frees space has to register first.
        answer = await self._node.write(command.SerializeToString(), grows_state=False)
        result = answer.result
        assert isinstance(result, RegisterClientResult), result
        return client_pb2.RegisterClientResponse(
            header=self._headers.at(answer.revision), client_id=result.client_id, idle_ms=CLIENT_IDLE_MS
        )

    @answering_errors
    async def UnregisterClient(
        self, request: client_pb2.UnregisterClientRequest, _context: Context
    ) -> client_pb2.UnregisterClientResponse:
        if not request.client_id:
            raise invalid("client_id", "is 0, which no client has")
        command = command_pb2.Command(unregister_client={"client_id": request.client_id})
        answer = await self._node.write(command.SerializeToString(), grows_state=False)
        return client_pb2.UnregisterClientResponse(header=self._headers.at(answer.revision))
