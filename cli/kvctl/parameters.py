"""What options and arguments may be: checked where they are typed, so that nothing else has to be."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

# `click.ParamType` takes a type argument in some releases only.

UINT64_MAX = 2**64 - 1
SECONDS_MAX = 100 * 365 * 86_400
"""A hundred years: what every date and every deadline can still express."""


class _Text(click.ParamType):  # type: ignore[type-arg]
    """Ids, names, addresses: UTF-8, whatever the locale is. What every argument is that says nothing else."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return os.fsencode(value).decode()
        except UnicodeError:
            self.fail(f"{value!r} is not UTF-8 text.", param, ctx)


class _Bytes(click.ParamType):  # type: ignore[type-arg]
    """Keys, values and payloads: any bytes. `encoding.from_typed` makes them of the text."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        return str(value)


class _File(click.Path):
    """A file's path, which is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name of the file is empty.", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A finite number from `at_least` to `at_most`, or `above` a smallest one."""

    name = "seconds"

    def __init__(
        self, *, at_least: float = 0.0, above: float | None = None, at_most: float = SECONDS_MAX
    ) -> None:
        self._at_least = at_least
        self._above = above
        self._at_most = at_most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        is_enough = seconds >= self._at_least if self._above is None else seconds > self._above
        if not is_enough or seconds > self._at_most:
            least = f"at least {self._at_least:g}" if self._above is None else f"more than {self._above:g}"
            self.fail(f"{value} is not in range: {least}, at most {self._at_most:,} seconds.", param, ctx)
        return seconds


TEXT = _Text()
BYTES = _Bytes()
FILE = _File(dir_okay=False, path_type=Path)
FILE_THAT_EXISTS = _File(dir_okay=False, exists=True, path_type=Path)
TIMEOUT = Seconds(above=0, at_most=86_400)
TTL = Seconds(above=0)
HELD_TTL = Seconds(at_least=1)
REVISION = click.IntRange(0, UINT64_MAX)
POSITIVE = click.IntRange(1, UINT64_MAX)
"""Ids of leases, epochs, numbers of messages, revisions to begin with."""
