"""What an update leaves as it is."""

from __future__ import annotations

from enum import Enum


class Keep(Enum):
    """The type of `KEEP`."""

    KEEP = "keep"


KEEP = Keep.KEEP
"""The default of each field of an update: it stays as it is."""
