"""Which endpoint a call goes to, and whether it goes to another one after a failure.

The rule is the class of the error: after `Unavailable` and `DeadlineExceeded` it is certain that
nothing was applied, so the call is sent again, to the next endpoint, until its deadline; after
`OutcomeUnknown` only a call that may be repeated (`method`). Any other error goes to the caller. One
attempt whose outcome is unknown leaves that of the call unknown, however the next ones fail.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence

import grpc
from google.protobuf.message import Message

from kvraft.client.binding import Binding
from kvraft.client.endpoint import Endpoint, parse_endpoints
from kvraft.client.errors import DeadlineExceeded, KvraftError, OutcomeUnknown, Unavailable
from kvraft.client.method import Method, ResponseT
from kvraft.client.pacing import Pacing
from kvraft.client.status import error_of_attempt, in_doubt


class _InUse:
    """The endpoint to go to, for all calls of a client, whatever time they have."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = 0


class Failover:
    """The endpoints of a cluster, and the one in use."""

    __slots__ = ("_endpoints", "_in_use", "binding", "chance", "timeout_s")

    def __init__(self, endpoints: str | Sequence[str], timeout_s: float) -> None:
        """Raises ValueError; RuntimeError in a process that can have no client."""
        self._endpoints = tuple(map(Endpoint, parse_endpoints(endpoints)))
        self._in_use = _InUse()
        self.binding = Binding()
        self.chance = random.Random()
        self.timeout_s = _timeout(timeout_s)

    def with_timeout(self, timeout_s: float) -> Failover:
        """The same for calls that may take another time. Raises ValueError."""
        other = copy.copy(self)
        other.timeout_s = _timeout(timeout_s)
        return other

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(endpoint.address for endpoint in self._endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them, the one in use first."""
        self.check_open()
        return self._endpoints[self._in_use.index :] + self._endpoints[: self._in_use.index]

    @property
    def endpoint(self) -> Endpoint:
        """Where to send the next attempt."""
        self.check_open()
        return self._endpoints[self._in_use.index]

    def pacing(self) -> Pacing:
        return Pacing(self.timeout_s, len(self._endpoints), self.chance)

    async def call(self, method: Method[ResponseT], request: Message) -> ResponseT:
        """Raises KvraftError."""
        self.check_open()
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
        endpoint = self._endpoints[self._in_use.index]
        try:
            return await endpoint.unary(method, request, timeout_s)
        except grpc.aio.AioRpcError as status:
            raise error_of_attempt(status, method, endpoint.address) from None

    def use(self, address: str) -> None:
        """The endpoint to go to from now on; one of the addresses."""
        self._in_use.index = self.addresses.index(address)

    def leave(self, endpoint: Endpoint) -> None:
        """This one does not work: the next one, unless another call has left it already."""
        if endpoint is self._endpoints[self._in_use.index]:
            self._in_use.index = (self._in_use.index + 1) % len(self._endpoints)

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

    async def close(self) -> None:
        self.binding.close()
        for endpoint in self._endpoints:
            await endpoint.close()

    def check_open(self) -> None:
        """Raises ClientClosed; RuntimeError in another event loop, or after a fork."""
        self.binding.check()


def _timeout(timeout_s: float) -> float:
    if timeout_s <= 0:
        raise ValueError(f"timeout_s is {timeout_s}: give the seconds a call may take")
    return timeout_s
