"""Which endpoint a call goes to, and whether it goes to another one after a failure.

The rule is the class of the error: after `Unavailable` and `DeadlineExceeded` it is certain that
nothing was applied, so the call is sent again, to the next endpoint, until its deadline; after
`OutcomeUnknown` only a call that may be repeated (`method`). Any other error goes to the caller. One
attempt whose outcome is unknown leaves that of the call unknown, however the next ones fail.
"""

from __future__ import annotations

import random

import grpc
from google.protobuf.message import Message

from kvraft.client.endpoint import Endpoint, parse_endpoints
from kvraft.client.errors import ClientClosed, DeadlineExceeded, KvraftError, OutcomeUnknown, Unavailable
from kvraft.client.method import Method, ResponseT
from kvraft.client.pacing import Pacing
from kvraft.client.status import error_of_attempt, in_doubt


class Failover:
    """The endpoints of a cluster, and the one in use."""

    __slots__ = ("_closed", "_endpoints", "_in_use", "chance", "timeout_s")

    def __init__(self, endpoints: str, timeout_s: float) -> None:
        if timeout_s <= 0:
            raise ValueError(f"timeout_s is {timeout_s}: give the seconds a call may take")
        self._endpoints = tuple(map(Endpoint, parse_endpoints(endpoints)))
        self._in_use = 0
        self.chance = random.Random()
        self._closed = False
        self.timeout_s = timeout_s

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(endpoint.address for endpoint in self._endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them, the one in use first."""
        self.check_open()
        return self._endpoints[self._in_use :] + self._endpoints[: self._in_use]

    @property
    def endpoint(self) -> Endpoint:
        """Where to send the next attempt."""
        self.check_open()
        return self._endpoints[self._in_use]

    def pacing(self) -> Pacing:
        return Pacing(self.timeout_s, len(self._endpoints), self.chance)

    async def call(self, method: Method[ResponseT], request: Message) -> ResponseT:
        """Raises KvraftError."""
        pacing = self.pacing()
        maybe_applied = False
        while True:
            endpoint = self.endpoint
            try:
                attempt_s = pacing.attempt_s(repeatable=method.is_repeatable)
                return await endpoint.unary(method, request, attempt_s)
            except grpc.aio.AioRpcError as status:
                error = error_of_attempt(status, method, endpoint.address)
            maybe_applied = maybe_applied or error.applied == "unknown"
            try:
                await self.before_next(error, endpoint, pacing, repeatable=method.is_repeatable)
            except KvraftError as final:
                raise in_doubt(final, maybe_applied=maybe_applied) from None

    async def call_at(self, address: str, method: Method[ResponseT], request: Message) -> ResponseT:
        """One attempt at one of the endpoints. Raises KvraftError; ValueError if it is none of them."""
        self.check_open()
        if address not in self.addresses:
            raise ValueError(f"{address!r} is not one of the client's endpoints {', '.join(self.addresses)}")
        endpoint = self._endpoints[self.addresses.index(address)]
        try:
            return await endpoint.unary(method, request, self.timeout_s)
        except grpc.aio.AioRpcError as status:
            raise error_of_attempt(status, method, address) from None

    async def attempt(self, method: Method[ResponseT], request: Message, timeout_s: float) -> ResponseT:
        """One attempt at the endpoint in use. Raises KvraftError."""
        endpoint = self._endpoints[self._in_use]
        try:
            return await endpoint.unary(method, request, timeout_s)
        except grpc.aio.AioRpcError as status:
            raise error_of_attempt(status, method, endpoint.address) from None

    def use(self, address: str) -> None:
        """The endpoint to go to from now on; one of the addresses."""
        self._in_use = self.addresses.index(address)

    def leave(self, endpoint: Endpoint) -> None:
        """This one does not work: the next one, unless another call has left it already."""
        if endpoint is self._endpoints[self._in_use]:
            self._in_use = (self._in_use + 1) % len(self._endpoints)

    async def before_next(
        self, error: KvraftError, endpoint: Endpoint, pacing: Pacing, *, repeatable: bool = True
    ) -> None:
        """Leaves an endpoint that does not work, and waits if all were asked. Raises `error` where
        sending again is not safe, would not help, or comes too late."""
        if not isinstance(error, Unavailable | DeadlineExceeded | OutcomeUnknown):
            raise error
        self.leave(endpoint)
        if isinstance(error, OutcomeUnknown) and not repeatable:
            raise error
        await pacing.pause(error)

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def close(self) -> None:
        self._closed = True
        for endpoint in self._endpoints:
            await endpoint.close()

    def check_open(self) -> None:
        """Raises ClientClosed."""
        if self._closed:
            raise ClientClosed
