"""MessageService: messages are sent, received, acknowledged and managed, through any node."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
from google.protobuf.message import Message

from kvraft.errors import RequestError
from kvraft.machine.results import Answer, Failed, FailureReason, ListResult, UserDataResult
from kvraft.machine.users import queues
from kvraft.machine.users.rows import has_device
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.rpc import kv_requests
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.status import answering_errors, code_number
from kvraft.rpc.users import ephemeral, message_responses, pulling
from kvraft.rpc.users.message_requests import check_batch, check_queue, check_send
from kvraft.rpc.users.message_responses import show_sent
from kvraft.rpc.users.queue_pages import DeadLetterPage, QueuePage
from kvraft.rpc.users.receive_service import ReceiveService
from kvraft.rpc.users.user_requests import pipelined_command
from kvraft.rpc.users.user_service import UserService
from kvraft.v1 import command_pb2, message_pb2, message_pb2_grpc, user_data_pb2

Context = grpc.aio.ServicerContext[Message, Message]


class MessageServicer(UserService, message_pb2_grpc.MessageServiceServicer):
    """Serves the messages of one node."""

    def __init__(self, node: Node, headers: ResponseHeaders) -> None:
        super().__init__(node, headers)
        self._receive = ReceiveService(node)

    # --- sending ------------------------------------------------------------------------------

    @answering_errors
    async def SendMessage(
        self, request: message_pb2.SendMessageRequest, _context: Context
    ) -> message_pb2.SendMessageResponse:
        if request.ephemeral:
            check_send(request)
            return ephemeral.hand_over(self._node, self._headers, request)
        response: message_pb2.SendMessageResponse = await self._write("send_message", request)
        show_sent(request, response)
        return response

    @answering_errors
    async def BatchSendMessages(
        self, request: message_pb2.BatchSendMessagesRequest, _context: Context
    ) -> message_pb2.BatchSendMessagesResponse:
        check_batch(request)
        batch = command_pb2.Command()
        kv_requests.number(batch, request.request_id)
        refused: dict[int, RequestError] = {}
        for position, each in enumerate(request.requests):
            try:
                write = pipelined_command(user_data_pb2.UserDataCommand(send_message=each))
            except RequestError as error:
                refused[position] = error
            else:
                batch.list.commands.add().MergeFromString(write.command)
        revision = self._node.replica.machine.revision
        applied: Iterator[Answer] = iter(())
        if batch.list.commands:
            answer = await self._node.write(batch.SerializeToString(), grows_state=True)
            assert isinstance(answer.result, ListResult), answer
            revision, applied = answer.revision, iter(answer.result.answers)
        response = message_pb2.BatchSendMessagesResponse()
        for position, each in enumerate(request.requests):
            outcome = refused[position] if position in refused else next(applied)
            _fill(response.results.add(), each, outcome)
        accepted = max(result.response.header.revision for result in response.results)
        response.header.CopyFrom(self._headers.at(accepted or revision))
        return response

    # --- receiving ----------------------------------------------------------------------------

    @answering_errors
    async def ReceiveMessages(
        self, requests: AsyncIterator[message_pb2.ReceiveMessagesRequest], context: Context
    ) -> None:
        await self._receive.serve(requests, context)

    @answering_errors
    async def PullMessages(
        self, request: message_pb2.PullMessagesRequest, _context: Context
    ) -> message_pb2.PullMessagesResponse:
        return await pulling.pull(self._node, self._headers, request)

    @answering_errors
    async def AcknowledgeMessages(
        self, request: message_pb2.AcknowledgeMessagesRequest, _context: Context
    ) -> message_pb2.AcknowledgeMessagesResponse:
        response: message_pb2.AcknowledgeMessagesResponse = await self._write("acknowledge_messages", request)
        return response

    # --- queues -------------------------------------------------------------------------------

    @answering_errors
    async def GetQueue(
        self, request: message_pb2.GetQueueRequest, _context: Context
    ) -> message_pb2.GetQueueResponse:
        check_queue(request)
        user_id, device_id = request.user_id, request.device_id
        state = await self._fresh(request.consistency, request.min_revision)
        if not has_device(state, user_id, device_id):
            raise request_error(Failed(FailureReason.DEVICE_NOT_FOUND))
        row = queues.find(state, user_id, device_id)
        return message_pb2.GetQueueResponse(
            header=self._header(), queue=message_responses.queue(user_id, device_id, row)
        )

    @answering_errors
    async def ListQueues(
        self, request: message_pb2.ListQueuesRequest, _context: Context
    ) -> message_pb2.ListQueuesResponse:
        page = QueuePage(request)
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        header = self._header()
        found, token = page.read(state, header.revision)
        return message_pb2.ListQueuesResponse(header=header, queues=found, next_page_token=token)

    @answering_errors
    async def PurgeQueue(
        self, request: message_pb2.PurgeQueueRequest, _context: Context
    ) -> message_pb2.PurgeQueueResponse:
        response: message_pb2.PurgeQueueResponse = await self._write("purge_queue", request)
        return response

    # --- dead letters -------------------------------------------------------------------------

    @answering_errors
    async def ListDeadLetters(
        self, request: message_pb2.ListDeadLettersRequest, _context: Context
    ) -> message_pb2.ListDeadLettersResponse:
        page = DeadLetterPage(request)
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        header = self._header()
        found, token = page.read(state, header.revision)
        return message_pb2.ListDeadLettersResponse(header=header, dead_letters=found, next_page_token=token)

    @answering_errors
    async def RedriveDeadLetters(
        self, request: message_pb2.RedriveDeadLettersRequest, _context: Context
    ) -> message_pb2.RedriveDeadLettersResponse:
        response: message_pb2.RedriveDeadLettersResponse = await self._write("redrive_dead_letters", request)
        return response

    @answering_errors
    async def DeleteDeadLetters(
        self, request: message_pb2.DeleteDeadLettersRequest, _context: Context
    ) -> message_pb2.DeleteDeadLettersResponse:
        response: message_pb2.DeleteDeadLettersResponse = await self._write("delete_dead_letters", request)
        return response


def _fill(
    result: message_pb2.BatchSendMessagesResponse.Result,
    request: message_pb2.SendMessageRequest,
    outcome: Answer | RequestError,
) -> None:
    """What one message of a batch is answered."""
    if isinstance(outcome, Answer):
        if isinstance(outcome.result, UserDataResult):
            assert isinstance(outcome.result.response, message_pb2.SendMessageResponse), outcome
            result.response.CopyFrom(outcome.result.response)
            show_sent(request, result.response)
            return
        assert isinstance(outcome.result, Failed), outcome
        outcome = request_error(outcome.result)
    result.error.code = code_number(outcome.reason)
    result.error.reason = outcome.reason.value
    result.error.message = str(outcome)
