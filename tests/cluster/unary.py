"""Writes as they are on the wire without the library's numbers and batches: one call, one entry of the log,
one answer. For tests that count writes and answers; a lost answer stays unknown, and no answer is kept."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import admin_pb2, kv_pb2

_PUT = Method("/kvraft.v1.KvService/Put", kv_pb2.PutResponse.FromString)


_ERASE_USER = Method("/kvraft.v1.AdminService/EraseUser", admin_pb2.EraseUserResponse.FromString)


class UnaryClient:
    """Calls one of the endpoints, "host:port,host:port,..."."""

    def __init__(self, endpoints: str, *, timeout_s: float) -> None:
        self._failover = Failover(endpoints, timeout_s)

    async def put(self, key: bytes, value: bytes) -> kv_pb2.PutResponse:
        """Raises KvraftError."""
        return await self._failover.call(_PUT, kv_pb2.PutRequest(key=key, value=value))

    async def erase_user(self, user_id: str) -> admin_pb2.EraseUserResponse:
        """Raises KvraftError."""
        return await self._failover.call(_ERASE_USER, admin_pb2.EraseUserRequest(user_id=user_id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._failover.close()
