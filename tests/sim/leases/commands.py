"""What owners ask for, as commands."""

from __future__ import annotations

from collections.abc import Iterable

from kvraft.v1 import command_pb2, kv_pb2


def register() -> command_pb2.Command:
    command = command_pb2.Command()
    command.register_client.SetInParent()
    return command


def grant(lease_id: int, ttl_ms: int) -> command_pb2.Command:
    return command_pb2.Command(grant_lease={"lease_id": lease_id, "ttl_ms": ttl_ms})


def renew(lease_ids: Iterable[int]) -> command_pb2.Command:
    return command_pb2.Command(renew_leases={"lease_ids": lease_ids})


def revoke(lease_id: int) -> command_pb2.Command:
    return command_pb2.Command(revoke_lease={"lease_id": lease_id})


def put(key: bytes, value: bytes, lease_id: int) -> command_pb2.Command:
    return command_pb2.Command(put=_put(key, value, lease_id))


def delete(key: bytes) -> command_pb2.Command:
    return command_pb2.Command(delete={"key": key, "return_previous": True})


def compare_and_set(key: bytes, revision: int, value: bytes, lease_id: int) -> command_pb2.Command:
    command = command_pb2.Command()
    swap = command.compare_and_set
    swap.key, swap.expected_revision, swap.value, swap.lease_id = key, revision, value, lease_id
    return command


def move_all(
    keys: Iterable[bytes], from_lease: int, value: bytes, to_leases: Iterable[int]
) -> command_pb2.Command:
    """A transaction: the first key is at the one lease, and then each goes to another, or none does."""
    command = command_pb2.Command()
    moved = list(keys)
    command.txn.compares.add(start=moved[0], relation=kv_pb2.Compare.RELATION_EQUAL, lease_id=from_lease)
    for key, lease_id in zip(moved, to_leases, strict=True):
        command.txn.success.add(put=_put(key, value, lease_id))
    return command


def _put(key: bytes, value: bytes, lease_id: int) -> command_pb2.PutCommand:
    return command_pb2.PutCommand(key=key, value=value, lease_id=lease_id, return_previous=True)
