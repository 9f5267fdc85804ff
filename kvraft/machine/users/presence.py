"""Presence: who is online, as far as somebody else may know."""

from __future__ import annotations

from typing import NamedTuple

from kvraft.machine.users import keys
from kvraft.machine.users.rows import find_user
from kvraft.storage.interfaces import StateReader


class Presence(NamedTuple):
    """What a viewer sees of a user."""

    online: bool
    """Whether any device has a session."""
    last_seen_day_ms: int = 0
    """If not: the day on which a session of theirs last ended, since the Unix epoch; 0: never, or not for
    this viewer."""


_UNSEEN = Presence(online=False)


def presence(state: StateReader, user_id: str, viewer_id: str) -> Presence:
    """Whoever is blocked, in whatever scope, sees somebody who was never there."""
    if state.get(keys.blocked_key(user_id, viewer_id)) is not None:
        return _UNSEEN
    for _ in state.scan(*keys.of_user_range(user_id, b"s")):
        return Presence(online=True)
    found = find_user(state, user_id)
    return _UNSEEN if found is None else Presence(online=False, last_seen_day_ms=found[0].last_seen_day_ms)
