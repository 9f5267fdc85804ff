"""The RPCs of the contract as typed values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[ResponseT]):
    """An RPC that answers with `ResponseT`, or with a stream of it. What an attempt of it can do is said by
    its `idempotency_level` in the contract."""

    path: str
    """As in HTTP/2's `:path`: /package.Service/Method."""
    parse: Callable[[bytes], ResponseT]
    changes_state: bool = field(init=False)
    """Whether an attempt without an answer may have been applied."""
    is_repeatable: bool = field(init=False)
    """Whether sending it again after such an attempt does no more than sending it once."""

    def __post_init__(self) -> None:
        full_name = self.path.removeprefix("/").replace("/", ".")
        level = descriptor_pool.Default().FindMethodByName(full_name).GetOptions().idempotency_level
        object.__setattr__(self, "changes_state", level != MethodOptions.NO_SIDE_EFFECTS)
        object.__setattr__(self, "is_repeatable", level != MethodOptions.IDEMPOTENCY_UNKNOWN)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def serialize(request: Message) -> bytes:
    """The bytes of any request."""
    return request.SerializeToString()
