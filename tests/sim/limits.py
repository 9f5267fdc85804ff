"""Limits of the product that a run has to meet, and would not in a minute: they are small while it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kvraft.machine import lease_commands
from kvraft.machine.users import dead_letters, queues, receipts
from kvraft.node import delivery_stream, proposals, watching
from kvraft.storage.state import history

LEASE_KEYS_AT_ONCE = 2
"""As many keys as end with a lease in one entry."""


@contextmanager
def small_limits() -> Iterator[None]:
    """Of streams, of slices of the history, of leases, of message queues and of patience with a message."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "STREAM_BYTES_MAX", 600)
        patch.setattr(watching, "MERGED_BYTES_MAX", 250)
        patch.setattr(history, "SLICE_CHANGES", 5)
        patch.setattr(history, "BLOCK_CHANGES", 7)
        patch.setattr(lease_commands, "KEYS_AT_ONCE_MAX", LEASE_KEYS_AT_ONCE)
        patch.setattr(queues, "MESSAGES_MAX", 12)
        patch.setattr(receipts, "MESSAGES_MAX", 1)
        patch.setattr(dead_letters, "ATTEMPTS_MAX", 3)
        patch.setattr(dead_letters, "KEPT_MAX", 20)
        patch.setattr(proposals, "HEAVY_WORK_MIN", 100)
        patch.setattr(delivery_stream, "STREAM_BYTES_MAX", 1_500)
        yield
