"""Leases: promises that end by themselves, and take their keys with them."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.client.arguments import checked
from kvraft.client.errors import DeadlineExceeded, OutcomeUnknown, Unavailable
from kvraft.client.failover import Failover
from kvraft.client.held_lease import HeldLease
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.releases import Releases
from kvraft.client.results import Header
from kvraft.v1 import lease_pb2, pipeline_pb2

_KEEP_ALIVE = Method("/kvraft.v1.LeaseService/KeepAliveLease", lease_pb2.KeepAliveLeaseResponse.FromString)
_GET = Method("/kvraft.v1.LeaseService/GetLease", lease_pb2.GetLeaseResponse.FromString)
_LIST = Method("/kvraft.v1.LeaseService/ListLeases", lease_pb2.ListLeasesResponse.FromString)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease, at the moment of the answer."""

    lease_id: int
    ttl_s: float
    """How long it lives after each renewal."""
    remaining_s: float
    """How long it has to live by the clock of the answering node; 0: it is about to end."""
    create_revision: int
    """The revision that granted it."""

    @classmethod
    def of(cls, message: lease_pb2.Lease) -> Lease:
        return cls(
            message.lease_id, message.ttl_ms / 1000, message.remaining_ms / 1000, message.create_revision
        )

    @classmethod
    def granted(cls, message: lease_pb2.Lease, revision: int) -> Lease:
        """A new one."""
        return cls(message.lease_id, message.ttl_ms / 1000, message.remaining_ms / 1000, revision)


@dataclass(frozen=True, slots=True)
class GrantLeaseResult:
    header: Header
    lease: Lease

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        return self.lease.lease_id


@dataclass(frozen=True, slots=True)
class KeepAliveResult:
    header: Header
    ttl_s: float
    """How long the lease lives from now on."""


@dataclass(frozen=True, slots=True)
class RevokeLeaseResult:
    header: Header
    deleted: int
    """How many keys were deleted with it at this revision."""


@dataclass(frozen=True, slots=True)
class GetLeaseResult:
    header: Header
    lease: Lease
    keys: tuple[bytes, ...] | None
    """The keys attached to it, in order: the first 10,000, and 3 MiB of them. None: not asked for."""
    more_keys: bool | None
    """Whether it has more keys than these. None: they were not asked for."""


@dataclass(frozen=True, slots=True)
class LeasePage:
    header: Header
    leases: tuple[Lease, ...]
    """By id."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@checked
class Leases:
    """`client.lease`. Every method raises KvraftError; LeaseNotFound where there is no such lease."""

    __slots__ = ("_failover", "_pipeline", "_releases")

    def __init__(self, failover: Failover, pipeline: Pipeline, releases: Releases) -> None:
        self._failover = failover
        self._pipeline = pipeline
        self._releases = releases

    async def grant(self, ttl_s: float, *, lease_id: int = 0) -> GrantLeaseResult:
        """Grants a lease that lives `ttl_s` (1 s to 366 days), and as long again after each renewal. The
        id is chosen if it is 0. Raises LeaseExists. After OutcomeUnknown grant another: the first one, if it
        was granted, ends by itself."""
        request = lease_pb2.GrantLeaseRequest(ttl_ms=round(ttl_s * 1000), lease_id=lease_id)
        command = pipeline_pb2.WriteCommand(grant_lease=request)
        header, result = await self._pipeline.write(command, "GrantLease")
        lease = Lease.granted(result.grant_lease.lease, result.revision)
        return GrantLeaseResult(Header.at(header, result.revision), lease)

    async def keep_alive(self, lease_id: int) -> KeepAliveResult:
        """Renews a lease once, to its full time to live. `hold` does it again and again."""
        request = lease_pb2.KeepAliveLeaseRequest(lease_id=lease_id)
        return _kept_alive(await self._failover.call(_KEEP_ALIVE, request))

    async def try_keep_alive(self, lease_id: int, *, timeout_s: float) -> KeepAliveResult:
        """One attempt, at the endpoint in use; the next one is made at another if it does not work."""
        endpoint = self._failover.endpoint
        request = lease_pb2.KeepAliveLeaseRequest(lease_id=lease_id)
        try:
            return _kept_alive(await self._failover.attempt(_KEEP_ALIVE, request, timeout_s))
        except (Unavailable, DeadlineExceeded, OutcomeUnknown):
            self._failover.leave(endpoint)
            raise

    async def revoke(self, lease_id: int) -> RevokeLeaseResult:
        """Ends a lease and deletes its keys. After OutcomeUnknown revoke again: LeaseNotFound then says that
        it was done."""
        request = lease_pb2.RevokeLeaseRequest(lease_id=lease_id)
        command = pipeline_pb2.WriteCommand(revoke_lease=request)
        header, result = await self._pipeline.write(command, "RevokeLease")
        return RevokeLeaseResult(Header.at(header, result.revision), result.revoke_lease.deleted)

    async def get(
        self, lease_id: int, *, keys: bool = False, consistency: Consistency = LINEARIZABLE
    ) -> GetLeaseResult:
        """Tells how long a lease has to live, and with `keys` what is attached to it."""
        level, min_revision = consistency_fields(consistency)
        request = lease_pb2.GetLeaseRequest(
            lease_id=lease_id, keys=keys, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_GET, request)
        return GetLeaseResult(
            Header.of(response.header),
            Lease.of(response.lease),
            tuple(response.keys) if keys else None,
            response.more_keys if keys else None,
        )

    async def list(
        self, *, page_size: int = 100, page_token: str = "", consistency: Consistency = LINEARIZABLE
    ) -> LeasePage:
        """Reads one page of leases by id: at most `page_size` (1 to 1,000). For the next one give its
        `next_page_token`."""
        level, min_revision = consistency_fields(consistency)
        request = lease_pb2.ListLeasesRequest(
            page_size=page_size, page_token=page_token, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_LIST, request)
        return LeasePage(
            Header.of(response.header), tuple(map(Lease.of, response.leases)), response.next_page_token
        )

    def hold(self, ttl_s: float = 10.0) -> HeldLease:
        """A lease that is kept alive in the background:

        async with client.lease.hold(ttl_s=10) as lease:
            await client.kv.put(b"online/alice", b"gateway-3", lease_id=lease.lease_id)
            await lease.lost.wait()
        """
        return HeldLease(self, self._releases, ttl_s)


def _kept_alive(response: lease_pb2.KeepAliveLeaseResponse) -> KeepAliveResult:
    return KeepAliveResult(Header.of(response.header), response.ttl_ms / 1000)
