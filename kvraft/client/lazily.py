"""What a client is made of is imported with its first use: most programs need a part of it, and to import
all of it takes longer than a command line may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar, overload

OwnerT = TypeVar("OwnerT")
MadeT = TypeVar("MadeT")


class lazily(Generic[OwnerT, MadeT]):  # noqa: N801 - a decorator, like `property`
    """An attribute that is made when it is first asked for: once, also by threads that ask at the same time.
    (`functools.cached_property` promises that no more.)"""

    def __init__(self, make: Callable[[OwnerT], MadeT]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type[OwnerT]) -> Self: ...
    @overload
    def __get__(self, owner: OwnerT, kind: type[OwnerT]) -> MadeT: ...
    def __get__(self, owner: OwnerT | None, kind: type[OwnerT]) -> MadeT | Self:
        # Once it is made, it is found in the instance before it is looked for here.
        if owner is None:
            return self
        with self._lock:
            name = self._make.__name__
            if name not in owner.__dict__:
                owner.__dict__[name] = self._make(owner)
            made: MadeT = owner.__dict__[name]
            return made
