"""The client's registration: its id, the numbers of its writes, and which answers it still waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import client_pb2

_REGISTER = Method("/kvraft.v1.ClientService/RegisterClient", client_pb2.RegisterClientResponse.FromString)
_UNREGISTER = Method(
    "/kvraft.v1.ClientService/UnregisterClient", client_pb2.UnregisterClientResponse.FromString
)
UNREGISTER_S = 1.0
"""What giving the id back may take; forgotten without it when it has been idle for long."""


class Session:
    """Registered with the first write, and again when the cluster has forgotten the client."""

    __slots__ = ("_failover", "_next_sequence", "_registering", "_waiting", "client_id")

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self.client_id: int | None = None
        self._next_sequence = 1
        self._waiting: set[int] = set()
        self._registering: asyncio.Task[None] | None = None

    @property
    def first_unacknowledged(self) -> int:
        """Everything below is answered, or nobody waits for it."""
        return min(self._waiting, default=self._next_sequence)

    def register(self, on_done: Callable[[KvraftError | None], None]) -> None:
        """Begins to register, unless it is under way; `on_done` is told the end."""
        if self._registering is None:
            self._registering = asyncio.create_task(self._register(on_done))

    def number(self) -> tuple[int, int]:
        """The client's id and the next number. The client is registered."""
        assert self.client_id is not None
        sequence = self._next_sequence
        self._next_sequence += 1
        self._waiting.add(sequence)
        return self.client_id, sequence

    def ended(self, number: tuple[int, int]) -> None:
        """Nobody waits for this number any more."""
        self._waiting.discard(number[1])

    def lost(self, number: tuple[int, int]) -> None:
        """The cluster does not know the client that sent this number."""
        if number[0] == self.client_id:
            self.client_id = None

    async def close(self) -> None:
        """Gives the id back; best effort."""
        if self._registering is not None:
            self._registering.cancel()
        if self.client_id is not None:
            request = client_pb2.UnregisterClientRequest(client_id=self.client_id)
            with contextlib.suppress(KvraftError):
                await self._failover.attempt(_UNREGISTER, request, UNREGISTER_S)

    async def _register(self, on_done: Callable[[KvraftError | None], None]) -> None:
        failure: KvraftError | None = None
        try:
            response = await self._failover.call(_REGISTER, client_pb2.RegisterClientRequest())
            self.client_id = response.client_id
        except KvraftError as error:
            failure = error
        self._registering = None
        on_done(failure)
