"""Waiting for a key to go: a look, and then a watch from where the look was."""

from __future__ import annotations

from contextlib import aclosing

from kvraft.client.errors import Compacted
from kvraft.client.keys import KeyRange
from kvraft.client.kv import Kv
from kvraft.client.watch import EventKind


async def until_gone(kv: Kv, key: bytes, create_revision: int | None = None) -> None:
    """Waits until the key is deleted; with `create_revision` until that very creation of it is. Raises
    KvraftError."""
    while True:
        answer = await kv.get(key)
        if answer.kv is None or create_revision not in (None, answer.kv.create_revision):
            return
        try:
            batches = kv.watch(
                KeyRange.single(key), start_revision=answer.header.revision + 1, exclude=(EventKind.PUT,)
            ).batches()
            async with aclosing(batches):
                async for _ in batches:
                    return
        except Compacted:
            # So much has happened meanwhile that only another look can tell.
            continue
