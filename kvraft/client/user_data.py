"""Commands of user data on their way: they travel in the pipeline like every write."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from kvraft.client.pipeline import Pipeline
from kvraft.client.results import Header
from kvraft.v1 import pipeline_pb2


async def write(pipeline: Pipeline, kind: str, request: Message) -> tuple[Header, Any]:
    """Sends a command, whose name in `UserDataCommand` is `kind`; the header and its response. Raises
    KvraftError."""
    command = pipeline_pb2.WriteCommand()
    getattr(command.user_data, kind).CopyFrom(request)
    name = type(request).__name__.removesuffix("Request")
    header, result = await pipeline.write(command, name)
    return Header.at(header, result.revision), getattr(result.user_data, kind)
