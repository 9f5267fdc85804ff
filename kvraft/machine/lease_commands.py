"""The commands of leases. Time is the machine's clock: the stamps of the leaders, replicated.

A lease lives until its end is an entry of the log. Being past its time alone changes nothing: until the
leader has proposed the end, and that is applied, the lease and its keys are there and it can be renewed.
So every node sees it end at the same revision, and whoever renewed it in time, by the order of the log,
has renewed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from kvraft.machine import leases
from kvraft.machine.leases import Lease
from kvraft.machine.results import (
    Failed,
    FailureReason,
    GrantLeaseResult,
    RenewLeasesResult,
    RevokeLeaseResult,
)
from kvraft.machine.space import KvSpace
from kvraft.storage.interfaces import StateTransaction
from kvraft.v1 import command_pb2

KEYS_AT_ONCE_MAX = 10_000
"""Keys that the end of leases deletes in one command, as many as DeleteRange: it would hold up everything
else too long otherwise. A lease with more keys ends in steps of so many."""


def grant(space: KvSpace, command: command_pb2.GrantLeaseCommand, clock_ms: int) -> GrantLeaseResult | Failed:
    """A new lease, whose life begins now."""
    state, lease_id = space.state, command.lease_id
    if lease_id and leases.find(state, lease_id) is not None:
        return Failed(FailureReason.LEASE_EXISTS, lease_id)
    if not lease_id:
        lease_id = space.revision
        while leases.find(state, lease_id) is not None:  # somebody chose this very number
            lease_id += 1
    leases.add(state, Lease(lease_id, command.ttl_ms, clock_ms + command.ttl_ms, space.revision))
    return GrantLeaseResult(lease_id, command.ttl_ms)


def renew(
    state: StateTransaction, command: command_pb2.RenewLeasesCommand, clock_ms: int
) -> RenewLeasesResult:
    """Each lease lives its full time from now on. Not a change that anybody could watch: it has no
    revision."""
    return RenewLeasesResult(tuple([_renew_one(state, lease_id, clock_ms) for lease_id in command.lease_ids]))


def _renew_one(state: StateTransaction, lease_id: int, clock_ms: int) -> int:
    lease = leases.get(state, lease_id)
    if lease is None:
        return 0
    leases.move(state, lease, clock_ms + lease.ttl_ms)
    return lease.ttl_ms


def revoke(space: KvSpace, command: command_pb2.RevokeLeaseCommand) -> RevokeLeaseResult | Failed:
    """The lease ends now. Of very many keys the leader deletes those that are left (`expire`)."""
    lease = leases.get(space.state, command.lease_id)
    if lease is None:
        return Failed(FailureReason.LEASE_NOT_FOUND, command.lease_id)
    return RevokeLeaseResult(_end(space, lease, _first_keys(space, lease)))


def expire(space: KvSpace, lease_ids: Iterable[int], clock_ms: int) -> bool:
    """Ends those leases that are past their time, in the given order. A lease whose keys do not fit beside
    those of the leases before it is left for the next time. False: nothing was changed."""
    changed = False
    keys_left = KEYS_AT_ONCE_MAX
    for lease_id in lease_ids:
        lease = leases.find(space.state, lease_id)
        if lease is None or lease.expires_ms > clock_ms:
            continue
        doomed = _first_keys(space, lease)
        if changed and len(doomed) > keys_left:
            break
        keys_left -= _end(space, lease, doomed)
        changed = True
    return changed


def _first_keys(space: KvSpace, lease: Lease) -> list[bytes]:
    """One more than may go at once, if there are more."""
    return list(islice(leases.attached(space.state, lease.lease_id), KEYS_AT_ONCE_MAX + 1))


def _end(space: KvSpace, lease: Lease, doomed: list[bytes]) -> int:
    """Deletes the keys, and then the lease or, if there are too many, only the promise of it."""
    goes_on = len(doomed) > KEYS_AT_ONCE_MAX
    if goes_on:
        doomed.pop()
    for key in doomed:
        row = space.get(key)
        assert row is not None, f"a key is attached to lease {lease.lease_id} but does not exist"
        space.delete(key, row)
    if goes_on:
        leases.begin_end(space.state, lease)
    else:
        leases.remove(space.state, lease)
    return len(doomed)
