"""Limits of the product that a run has to meet, and would not in a minute: they are small while it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kvraft.machine.users import dead_letters, queues
from kvraft.node import delivery_stream, watching
from kvraft.storage.state import history


@contextmanager
def small_limits() -> Iterator[None]:
    """Of streams, of slices of the history, of message queues and of patience with a message."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "STREAM_BYTES_MAX", 600)
        patch.setattr(watching, "MERGED_BYTES_MAX", 250)
        patch.setattr(history, "SLICE_CHANGES", 5)
        patch.setattr(history, "BLOCK_CHANGES", 7)
        patch.setattr(queues, "MESSAGES_MAX", 12)
        patch.setattr(dead_letters, "ATTEMPTS_MAX", 3)
        patch.setattr(dead_letters, "KEPT_MAX", 20)
        patch.setattr(delivery_stream, "STREAM_BYTES_MAX", 1_500)
        yield
