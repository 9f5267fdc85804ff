"""What a batch makes of its answer."""

from __future__ import annotations

import asyncio

from kvraft.client.batches import WriteBatch, WriteCall
from kvraft.v1 import common_pb2, kv_pb2, pipeline_pb2


def test_commands_for_which_a_batch_was_too_much_go_in_the_next_one() -> None:
    """They were not applied; the others have their answers."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        command = pipeline_pb2.WriteCommand(put=kv_pb2.PutRequest(key=b"k"))
        calls = [WriteCall(command, "Put", loop, loop.time(), 5.0) for _ in range(3)]
        batch = WriteBatch(1, calls, (7, 1))
        batch.sent()
        too_much = pipeline_pb2.PipelineError(code=8, reason="TOO_MUCH_WORK", message="work")
        response = pipeline_pb2.PipelineResponse(tag=1, header=common_pb2.ResponseHeader(revision=5))
        response.results.add(revision=5)
        response.results.add(error=too_much)
        response.results.add(error=too_much)
        assert batch.answered(response, "here") == calls[1:]
        assert (await calls[0].done)[1].revision == 5
        assert not calls[1].done.done()

    asyncio.run(scenario())
