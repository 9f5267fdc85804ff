"""The row of a user, which everything else about the user begins with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from kvraft.machine.users import keys
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import session_pb2, user_data_pb2


def find_user(state: StateReader, user_id: str) -> tuple[user_data_pb2.UserRow, bytes] | None:
    """A user, decoded and as it is written; None: there is no such user."""
    row = state.get(keys.user_key(user_id))
    return None if row is None else (user_data_pb2.UserRow.FromString(row), row)


class Recipient(NamedTuple):
    """What is to be known of a user to write to them."""

    device_ids: tuple[str, ...]
    blocked: int
    """How many users they have blocked."""


def find_recipient(state: StateReader, user_id: str) -> Recipient | None:
    """A user who is written to; None: there is no such user."""
    row = state.get(keys.user_key(user_id))
    return None if row is None else _recipient(row)


@lru_cache(maxsize=8192)  # rows change seldom, and each message on its way asks for one
def _recipient(row: bytes) -> Recipient:
    user = user_data_pb2.UserRow.FromString(row)
    return Recipient(tuple(device.device_id for device in user.devices), user.blocked)


def find_device(user: user_data_pb2.UserRow, device_id: str) -> session_pb2.Device | None:
    """A device of the user."""
    for device in user.devices:
        if device.device_id == device_id:
            return device
    return None


def has_device(state: StateReader, user_id: str, device_id: str) -> bool:
    """Whether there is such a user with such a device."""
    found = find_user(state, user_id)
    return found is not None and find_device(found[0], device_id) is not None


def users_after(state: StateReader, user_id: str) -> Iterator[str]:
    """The users after this one (empty: all), shard by shard; within one, by id. Good across changes of the
    state."""
    start = keys.next_user(user_id) if user_id else keys.first_user(0)
    while start:
        row = next(state.scan(start, keys.USERS_END), None)
        if row is None:
            return
        row_key = row[0]
        if keys.is_user_row(row_key):
            user_id = keys.user_of_row(row_key)
            yield user_id
            start = keys.next_user(user_id)
        else:
            # A group or a body: of this shard no user is left.
            start = keys.first_user(keys.shard_of_row(row_key) + 1)
