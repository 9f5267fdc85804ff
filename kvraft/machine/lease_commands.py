"""The commands of leases. Time is the machine's clock: the stamps of the leaders, replicated.

A lease lives until its end is an entry of the log. Being past its time alone changes nothing: until the
leader has proposed the end, and that is applied, the lease, its keys and its sessions are there and it can
be renewed. So every node sees it end at the same revision, and whoever renewed it in time, by the order of
the log, has renewed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

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
from kvraft.machine.users import sessions
from kvraft.machine.users.space import SessionEnd, UserSpace
from kvraft.storage.interfaces import StateTransaction
from kvraft.v1 import command_pb2

KEYS_AT_ONCE_MAX = 10_000
"""Keys and sessions that end with leases in one command, as many as DeleteRange: it would hold up everything
else too long otherwise. A lease with more of them ends in steps of so many."""

_Doomed = bytes | tuple[str, str]
"""A key, or the user and device of a session."""


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


def revoke(space: UserSpace, command: command_pb2.RevokeLeaseCommand) -> RevokeLeaseResult | Failed:
    """The lease ends now. Of very many keys and sessions the leader ends those that are left (`expire`)."""
    lease = leases.get(space.state, command.lease_id)
    if lease is None:
        return Failed(FailureReason.LEASE_NOT_FOUND, command.lease_id)
    return RevokeLeaseResult(_end(space, lease, _first(space, lease)))


def expire(space: UserSpace, lease_ids: Iterable[int]) -> bool:
    """Ends those leases that are past their time, in the given order. A lease whose keys and sessions do not
    fit beside those of the leases before it is left for the next time. False: nothing was changed."""
    changed = False
    left = KEYS_AT_ONCE_MAX
    for lease_id in lease_ids:
        lease = leases.find(space.state, lease_id)
        if lease is None or lease.expires_ms > space.clock_ms:
            continue
        doomed = _first(space, lease)
        if changed and len(doomed) > left:
            break
        _end(space, lease, doomed)
        left = max(0, left - len(doomed))
        changed = True
    return changed


def _first(space: UserSpace, lease: Lease) -> list[_Doomed]:
    """The keys of a lease and then its sessions; one more than may go at once, if there are more."""
    state, lease_id = space.state, lease.lease_id
    doomed: Iterator[_Doomed] = chain(leases.attached(state, lease_id), sessions.of_lease(state, lease_id))
    return list(islice(doomed, KEYS_AT_ONCE_MAX + 1))


def _end(space: UserSpace, lease: Lease, doomed: list[_Doomed]) -> int:
    """Ends the keys and sessions, and then the lease or, if there are too many, only the promise of it. How
    many keys were deleted."""
    goes_on = len(doomed) > KEYS_AT_ONCE_MAX
    deleted = 0
    for each in doomed[:KEYS_AT_ONCE_MAX]:
        if isinstance(each, bytes):
            row = space.space.get(each)
            assert row is not None, f"a key is attached to lease {lease.lease_id} but does not exist"
            space.space.delete(each, row)
            deleted += 1
        else:
            ended = sessions.end(space, *each, SessionEnd.EXPIRED)
            assert ended, f"a session belongs to lease {lease.lease_id} but does not exist"
    if goes_on:
        leases.begin_end(space.state, lease)
    else:
        leases.remove(space.state, lease)
    return deleted
