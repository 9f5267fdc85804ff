"""Renewals of leases, gathered: thousands of gateways that keep their leases alive cost an entry of the log
every few milliseconds, not one each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kvraft.errors import RequestError
from kvraft.machine.results import Answer, RenewLeasesResult
from kvraft.node.node import Node
from kvraft.v1 import command_pb2

GATHER_S = 0.010
LEASES_MAX = 10_000
"""Of one entry. Not reached by calls that name fewer each: what no longer fits begins the next one."""


class _Gathering:
    """Leases that are to be renewed by one command."""

    __slots__ = ("lease_ids", "outcome")

    def __init__(self) -> None:
        self.lease_ids: dict[int, None] = {}
        """In the order in which they were named, each once."""
        self.outcome: asyncio.Task[tuple[int, dict[int, int]] | RequestError]


class Renewals:
    """Renews leases through one node."""

    __slots__ = ("_gathering", "_node")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._gathering: _Gathering | None = None

    async def renew(self, lease_ids: Sequence[int]) -> tuple[int, list[int]]:
        """The revision of the state, and for each lease how long it lives from now on, milliseconds (0: it
        does not exist). Raises RequestError: some may have been renewed."""
        gathering = self._gathering
        if gathering is None or len(gathering.lease_ids) + len(lease_ids) > LEASES_MAX:
            gathering = self._gathering = _Gathering()
            gathering.outcome = asyncio.create_task(self._propose(gathering))
        gathering.lease_ids.update(dict.fromkeys(lease_ids))
        # A caller that is gone does not take the renewals of the others with it.
        outcome = await asyncio.shield(gathering.outcome)
        if isinstance(outcome, RequestError):
            raise outcome.with_traceback(None)
        revision, ttls_ms = outcome
        return revision, [ttls_ms[lease_id] for lease_id in lease_ids]

    async def _propose(self, gathering: _Gathering) -> tuple[int, dict[int, int]] | RequestError:
        """An error is returned, not raised, for perhaps nobody waits for it any more."""
        await asyncio.sleep(GATHER_S)
        if self._gathering is gathering:
            self._gathering = None
        command = command_pb2.Command(renew_leases={"lease_ids": gathering.lease_ids})
        try:
            answer: Answer = await self._node.write(command.SerializeToString(), grows_state=False)
        except RequestError as error:
            return error
        result = answer.result
        assert isinstance(result, RenewLeasesResult), result
        return answer.revision, dict(zip(gathering.lease_ids, result.ttls_ms, strict=True))
