"""The RPCs of the contract as typed values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[ResponseT]):
    """An RPC that answers with `ResponseT`, or with a stream of it."""

    path: str
    """As in HTTP/2's `:path`: /package.Service/Method."""
    parse: Callable[[bytes], ResponseT]
    writes: bool
    """Whether the call can change the state."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def serialize(request: Message) -> bytes:
    """The bytes of any request."""
    return request.SerializeToString()
