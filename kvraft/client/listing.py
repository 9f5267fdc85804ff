"""Lists that come in pages, read to their end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

PAGE_SIZE = 1_000
"""As many as a page may hold."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """Iterates over all items of a list: `async for member in client.groups.all_members(...)`.

    A page is read when its first item is wanted, and sees what was written since the page before: an item
    that is there all the time comes exactly once. Raises KvraftError.
    """

    read_page: Callable[[str], Awaitable[tuple[tuple[ItemT, ...], str]]]
    """From a page's token (empty: the first one) to its items and the token of the next one."""

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncGenerator[tuple[ItemT, ...], None]:
        """The same in the pages in which they come, none of them empty."""
        token = ""
        while True:
            page, token = await self.read_page(token)
            if page:
                yield page
            if not token:
                return
