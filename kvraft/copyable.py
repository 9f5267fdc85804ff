"""Exceptions that survive `pickle` and `copy`, as a process pool needs it."""

from __future__ import annotations

from typing import Any, TypeVar

ErrorT = TypeVar("ErrorT", bound=BaseException)


class Copyable(Exception):
    """An exception whose constructor takes more than its message. (By default an exception is made anew
    from its `args`, which are the message alone.)"""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[ErrorT], args: tuple[Any, ...], state: dict[str, Any]) -> ErrorT:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
