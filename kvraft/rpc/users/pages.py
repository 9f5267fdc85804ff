"""Pages of lists that are ordered by an id: how much is in one, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from kvraft.errors import RequestError
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.users.checks import USER_ID_BYTES_MAX

PAGE_BYTES_MAX = 3 << 20
"""Of one page, but that one row always fits; within what gRPC carries."""

RowT = TypeVar("RowT")


def take(rows: Iterator[RowT], page_size: int, size_of: Callable[[RowT], int]) -> tuple[list[RowT], bool]:
    """The rows of a page, and whether there are more. `size_of` a row in bytes."""
    page: list[RowT] = []
    size_bytes = 0
    for row in rows:
        size_bytes += size_of(row)
        if len(page) == page_size or (page and size_bytes > PAGE_BYTES_MAX):
            return page, True
        page.append(row)
    return page, False


def last_id(part_of_token: bytes) -> str:
    """The id after which a page begins; no longer than one, since it becomes part of a key. Raises
    RequestError."""
    if len(part_of_token) > USER_ID_BYTES_MAX:
        raise foreign_token()
    try:
        return part_of_token.decode()
    except UnicodeDecodeError:
        raise foreign_token() from None


def foreign_token() -> RequestError:
    """The refusal of a token that no node gave."""
    return invalid("page_token", "is not a token this node gave; send `next_page_token` unchanged, or none")
