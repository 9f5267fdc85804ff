"""Rules that many requests share. Each raises RequestError, which names the field."""

from __future__ import annotations

import unicodedata

from kvraft.rpc.kv_requests import invalid

USER_ID_BYTES_MAX = 64
DEVICE_ID_BYTES_MAX = 32
GROUP_ID_BYTES_MAX = 64
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000


def check_user_id(field: str, user_id: str) -> None:
    """A user's id."""
    check_id(field, user_id, USER_ID_BYTES_MAX)


def check_device_id(field: str, device_id: str) -> None:
    """A device's id."""
    check_id(field, device_id, DEVICE_ID_BYTES_MAX)


def check_group_id(field: str, group_id: str) -> None:
    """A group's id."""
    check_id(field, group_id, GROUP_ID_BYTES_MAX)


def check_id(field: str, value: str, bytes_max: int) -> None:
    """An id: it is part of keys, where a control character would end it."""
    size_bytes = len(value.encode())
    if not 1 <= size_bytes <= bytes_max:
        raise invalid(field, f"has {size_bytes:,} bytes; 1 to {bytes_max} are allowed")
    if not value.isprintable() and any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in value):
        raise invalid(field, "has a control character")


def check_new_id(field: str, value: str) -> None:
    """An id that may come into being with the request. What cannot be seen, or changes how the text around it
    is shown, would let two ids look alike and write on terminals. (The joiners are the business of letters
    in many scripts, and of emoji.) An id that is stored already stays readable."""
    if value.isprintable():
        return
    for letter in value:
        if unicodedata.category(letter) in _UNSEEN and letter not in _JOINERS:
            raise invalid(field, f"has the character U+{ord(letter):04X}, which cannot be seen")


_UNSEEN = ("Cc", "Cf", "Zl", "Zp")
"""Control characters (C0, C1), format characters (directions, zero-width), line and paragraph separators."""
_JOINERS = "\u200c\u200d"


def check_bytes(field: str, value: str | bytes, bytes_max: int) -> None:
    """Text or data of limited length, which may be empty."""
    size_bytes = len(value.encode() if isinstance(value, str) else value)
    if size_bytes > bytes_max:
        raise invalid(field, f"has {size_bytes:,} bytes; at most {bytes_max:,} are allowed")


def check_page_size(page_size: int) -> int:
    """How many a page is to hold."""
    if page_size > PAGE_SIZE_MAX:
        raise invalid("page_size", f"is {page_size:,}; at most {PAGE_SIZE_MAX:,} fit a page")
    return page_size or PAGE_SIZE_DEFAULT
