"""Limits that are kept at the call: what breaks them would be said later, in a stream that others share, and
answered there, when its caller is gone.

The numbers are those of the nodes. Each check raises ValueError, with the limit.
"""

from __future__ import annotations

USER_ID_BYTES_MAX = 64
DEVICE_ID_BYTES_MAX = 32
WINDOW_MESSAGES_MAX = 256
WINDOW_BYTES_MAX = 4 << 20
NACK_DELAY_S_MAX = 3_600
NACK_REASON_BYTES_MAX = 256
LEASE_TTL_S_MIN = 1
LEASE_TTL_S_MAX = 366 * 24 * 60 * 60
EPOCH_MAX = (1 << 64) - 1


def check_id(name: str, value: str, bytes_max: int) -> None:
    """Of a user or device: 1 to `bytes_max` bytes without control characters."""
    size_bytes = len(_encoded(name, value))
    if not 1 <= size_bytes <= bytes_max:
        raise ValueError(f"{name} has {size_bytes:,} bytes: give 1 to {bytes_max}")
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in value):
        raise ValueError(f"{name} has a control character")


def check_text(name: str, value: str, bytes_max: int) -> None:
    """Of text that may be empty."""
    size_bytes = len(_encoded(name, value))
    if size_bytes > bytes_max:
        raise ValueError(f"{name} has {size_bytes:,} bytes: give at most {bytes_max:,}")


def check_number(name: str, value: float, least: float, most: float) -> None:
    """Of a number with both ends; NaN is outside."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value:,}: give {least:,} to {most:,}")


def _encoded(name: str, value: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}: give a str")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has half of a character at position {error.start} (a lone surrogate), which is no text"
        ) from None
