"""The client's registration: its id, the numbers of its writes, and which answers it still waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kvraft.client.background import BackgroundTask, broken
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

    __slots__ = (
        "_failover",
        "_failure",
        "_next_sequence",
        "_on_registered",
        "_registering",
        "_waiting",
        "client_id",
    )

    def __init__(self, failover: Failover, on_registered: Callable[[KvraftError | None], None]) -> None:
        """`on_registered` is told the end of each registration: None, or what it failed with."""
        self._failover = failover
        self._on_registered = on_registered
        self._failure: KvraftError | None = None
        self.client_id: int | None = None
        self._next_sequence = 1
        self._waiting: set[int] = set()
        self._registering = BackgroundTask("kvraft-register", self._register, self._ended)

    @property
    def first_unacknowledged(self) -> int:
        """Everything below is answered, or nobody waits for it."""
        return min(self._waiting, default=self._next_sequence)

    def register(self) -> None:
        """Begins to register, unless it is under way."""
        self._registering.want()

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
        self._registering.cancel()
        if self.client_id is not None:
            request = client_pb2.UnregisterClientRequest(client_id=self.client_id)
            with contextlib.suppress(KvraftError):
                await self._failover.attempt(_UNREGISTER, request, UNREGISTER_S)

    async def _register(self) -> None:
        self._failure = None
        try:
            response = await self._failover.call(_REGISTER, client_pb2.RegisterClientRequest())
            self.client_id = response.client_id
        except KvraftError as error:
            self._failure = error

    def _ended(self, failure: BaseException | None) -> None:
        """It has registered, or failed, or was cancelled: then whoever has a write to send begins anew."""
        if failure is not None and not isinstance(failure, asyncio.CancelledError):
            self._failure = broken("RegisterClient", failure, writes=False)
        self._on_registered(self._failure)
