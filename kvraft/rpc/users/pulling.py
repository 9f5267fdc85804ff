"""The PullMessages call: the oldest messages of a queue, from any node, waited for if there is none."""

from __future__ import annotations

import asyncio

from kvraft import errors
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import queues
from kvraft.machine.users.rows import find_device, find_user
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.users.receive_requests import PULL_WAIT_S_MAX, pull_size, seconds
from kvraft.v1 import message_pb2

RESPONSE_BYTES_MAX = 3 << 20


async def pull(
    node: Node, headers: ResponseHeaders, request: message_pb2.PullMessagesRequest
) -> message_pb2.PullMessagesResponse:
    """What there is, as soon as there is something. Raises RequestError."""
    size = pull_size(request)
    ends_at_s = asyncio.get_running_loop().time() + seconds("wait", request.wait, PULL_WAIT_S_MAX)
    await node.fresh()
    response = _look(node, request, size)
    if not response.deliveries and request.HasField("wait"):
        device = request.user_id, request.device_id
        changed = asyncio.Event()
        waiters = node.replica.queue_waiters
        on_change = changed.set
        waiters.add(device, on_change)
        try:
            while not response.deliveries:
                changed.clear()
                async with asyncio.timeout_at(ends_at_s):
                    await changed.wait()
                if node.replica.stopping:
                    raise errors.shutting_down()
                response = _look(node, request, size)
        except TimeoutError:
            pass  # it stays empty
        finally:
            waiters.remove(device, on_change)
    response.header.CopyFrom(headers.at(node.replica.machine.revision))
    return response


def _look(
    node: Node, request: message_pb2.PullMessagesRequest, size: int
) -> message_pb2.PullMessagesResponse:
    """The messages that are there. Nothing is awaited, so that they are of one revision."""
    state, clock_ms = node.replica.state, node.replica.machine.clock_ms
    user_id, device_id = request.user_id, request.device_id
    found = find_user(state, user_id)
    if found is None or find_device(found[0], device_id) is None:
        raise request_error(Failed(FailureReason.DEVICE_NOT_FOUND))
    row = queues.find(state, user_id, device_id)
    response = message_pb2.PullMessagesResponse()
    bytes_left = RESPONSE_BYTES_MAX
    for queued in queues.live_after(state, user_id, device_id, request.after_seq, clock_ms):
        bytes_left -= queued.entry.size_bytes
        if len(response.deliveries) >= size or (response.deliveries and bytes_left < 0):
            response.more = True
            break
        failures = row.attempts if queued.seq == row.suspect_seq else 0
        response.deliveries.append(queues.delivery(queued, failures + 1, failures > 0))
    return response
