"""What owners can see by themselves, without the log: no lease ends before its time, none rises again, and
once nobody keeps them alive they all end soon, with their keys."""

from __future__ import annotations

from kvraft.machine import kv
from kvraft.storage.interfaces import StateReader
from tests.sim.history import Outcome, Violation
from tests.sim.leases.elections import RATE_MIN, Elections
from tests.sim.leases.story import Lifetime, Story

LOOK_MS = 500
"""A leader looks twice a second for what is past its time, and again as soon as that has ended."""
END_LAG_MS = 1_000
"""For a renewal that was still under way, for a change of leaders, and for the slowest node."""

LEASES = b"\x02\x01", b"\x02\x02"
"""The rows of leases."""


def check_lifetimes(story: Story, elections: Elections) -> None:
    """Raises Violation for the first lease that ended before its time."""
    for lifetime in story.lifetimes.values():
        _check_lifetime(lifetime, elections)


def _check_lifetime(lifetime: Lifetime, elections: Elections) -> None:
    for missed_us in lifetime.missed_us:
        for renewed in lifetime.renewed:
            name = (
                f"lease {lifetime.lease_id}, renewed at {renewed.begun_us / 1e6:.3f}.."
                f"{renewed.ended_us / 1e6:.3f} s"
            )
            if renewed.begun_us > missed_us:
                raise Violation(f"{name}, had been gone at {missed_us / 1e6:.3f} s")
            passed_ms = elections.passed_ms_max(renewed, missed_us)
            if passed_ms < lifetime.ttl_ms and missed_us < lifetime.revoked_us:
                raise Violation(
                    f"{name}, was gone at {missed_us / 1e6:.3f} s: {passed_ms:.0f} ms may have passed "
                    f"meanwhile, and it lives {lifetime.ttl_ms}"
                )


def ends_us_max(story: Story, ttl_ms_max: int) -> float:
    """By when every lease has ended that does not outlast the run, if nobody grants or renews any more."""
    last_us = max(ask.ended_us for ask in story.asks.values())
    return last_us + ((ttl_ms_max + LOOK_MS) / RATE_MIN + END_LAG_MS) * 1000


def check_ended(story: Story, node: str, state: StateReader) -> None:
    """By now. Raises Violation if a lease is still there, or a key that was attached to one."""
    left = {int.from_bytes(row_key[2:], "big") for row_key, _ in state.scan(*LEASES)}
    for lease_id in left - story.lasting.keys():
        raise Violation(f"lease {lease_id}, which nobody keeps alive, does not end: {node} has it")
    for key, record in kv.scan(state, b"", b""):
        if record.lease_id and record.lease_id not in story.lasting:
            raise Violation(f"lease {record.lease_id} is gone, and its key {key!r} is not: {node} has it")


def check_lasting(story: Story, elections: Elections, state: StateReader, now_us: int) -> None:
    """At the end. Raises Violation if a lease is gone that has not reached its time, or its key."""
    for lease_id, key in story.lasting.items():
        lifetime = story.lifetimes[lease_id]
        may_be_gone = any(
            elections.passed_ms_max(renewed, now_us) >= lifetime.ttl_ms for renewed in lifetime.renewed
        )
        record = kv.get(state, key)
        if not may_be_gone and (record is None or record.lease_id != lease_id):
            raise Violation(f"lease {lease_id} or its key {key!r} is gone before its time")


def check_answered(story: Story) -> None:
    """At the end: what is repeated until it is answered, was. Raises Violation."""
    for ask in story.asks.values():
        if ask.is_numbered and ask.outcome is not Outcome.DONE:
            raise Violation(f"never answered, although every node serves: {ask}")
