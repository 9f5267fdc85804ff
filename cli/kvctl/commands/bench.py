"""kvctl bench: a load on a cluster, and how fast it was answered.

Every caller waits for its answer and asks again, so the load is as high as the cluster lets it be. All of
them share one client, as the tasks of an application do. The keys of a run are under a name of its own below
the prefix: what is deleted at the end is what was written, whatever else begins with the prefix.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kvctl.connection import connect_async
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.groups import CommandGroup
from kvctl.histogram import Histogram
from kvctl.output import print_json, print_line
from kvctl.parameters import BYTES, POSITIVE, TTL
from kvctl.settings import Command, Settings, pass_settings
from kvctl.signals import run as run_async

if TYPE_CHECKING:
    from kvraft.client import Client, Event, KvraftError

KEYS_MAX = 10_000
"""Of a run: as many as one step of `delete_range` takes. Later calls write the same ones again."""
STATE_BYTES_MAX = 64 << 20
"""Of all values of a run; of large ones there are fewer keys."""
NUMBER_BYTES = 5
"""What a key needs for its number, at least."""
STAMP_BYTES = 8
"""What a value needs to say when it was put."""
WATCHES_BEGINNING_MAX = 100
"""At the same time: that all of them reach a node at once is not what is measured."""
ERROR_PAUSE_S = 0.1
"""A caller that was refused waits this long if it was not told how long."""
SHOW_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the options say."""

    callers: int
    calls_max: int | None
    seconds: float
    """How long calls are begun, if their number is not limited."""
    key_bytes: int
    value: bytes
    prefix: bytes
    """Of the keys of this run and no others."""
    keep: bool

    @property
    def keys(self) -> int:
        """How many there are."""
        by_size = max(1, STATE_BYTES_MAX // len(self.value))
        return min(KEYS_MAX, by_size, self.calls_max or KEYS_MAX)

    def key(self, number: int) -> bytes:
        """Of the n-th call."""
        return self.prefix + b"%0*d" % (self.key_bytes - len(self.prefix), number % self.keys)


@dataclass(slots=True)
class Run:
    """How far a load is."""

    plan: Plan
    latencies: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)
    last_error: KvraftError | None = None
    begun: int = 0
    """Calls."""
    _began_s: float | None = None
    _ended_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        if self._began_s is None:
            return 0.0
        return (self._ended_s or time.perf_counter()) - self._began_s

    def begin(self) -> None:
        """The clock starts: everything is prepared."""
        self._began_s = time.perf_counter()

    def end(self) -> None:
        """The last call was answered, or is not waited for."""
        self._ended_s = time.perf_counter()

    def is_over(self) -> bool:
        """Whether no more calls are to be begun."""
        if self.plan.calls_max is not None:
            return self.begun >= self.plan.calls_max
        return self.elapsed_s >= self.plan.seconds

    def next_call(self) -> int:
        """Its number."""
        self.begun += 1
        return self.begun - 1

    async def failed(self, error: KvraftError) -> None:
        """Counts it, and waits until it makes sense to ask again."""
        self.errors[error.reason] += 1
        self.last_error = error
        await asyncio.sleep(getattr(error, "retry_after_s", None) or ERROR_PAUSE_S)


Load = Callable[["Client", Run], Awaitable[None]]
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _options(command: CommandT) -> CommandT:
    """Those of every load, as one argument: its plan."""
    options = [
        click.option(
            "--callers",
            type=click.IntRange(1, 10_000),
            default=64,
            show_default=True,
            metavar="N",
            help="How many call at the same time; of watch: how many watches.",
        ),
        click.option("--count", type=POSITIVE, metavar="N", help="How many calls to make."),
        click.option(
            "--seconds",
            type=TTL,
            metavar="S",
            help="How long to make calls.  [default: 5]",
        ),
        click.option(
            "--key-size",
            type=click.IntRange(1, 480),
            default=32,
            show_default=True,
            metavar="BYTES",
            help="Of each key, the prefix included.",
        ),
        click.option(
            "--value-size",
            type=click.IntRange(STAMP_BYTES, 1 << 20),
            default=256,
            show_default=True,
            metavar="BYTES",
            help="Of each value.",
        ),
        click.option(
            "--prefix",
            type=BYTES,
            default="kvctl-bench/",
            show_default=True,
            help="The keys are below it, under a name of this run.",
        ),
        click.option("--keep", is_flag=True, help="Do not delete the keys at the end."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=CommandGroup)
def bench() -> None:
    """Measure how fast the cluster answers.

    Prints how many calls a second were answered, how long they took and, at the end, deletes the keys that
    it wrote. Ctrl-C ends it early and prints what was measured until then. The exit code is 0 if every call
    succeeded, otherwise that of the last error.

    \b
    kvctl bench put
    kvctl bench get --callers 1000 --seconds 30
    kvctl bench watch --callers 100 -o json
    """


@bench.command(cls=Command)
@_options
@pass_settings
def put(settings: Settings, /, **options: Any) -> None:
    """Store values."""
    _bench(settings, "put", _put, options)


@bench.command(cls=Command)
@_options
@pass_settings
def get(settings: Settings, /, **options: Any) -> None:
    """Read keys, linearizably, that were written before the clock starts."""
    _bench(settings, "get", _get, options)


@bench.command(cls=Command)
@_options
@pass_settings
def txn(settings: Settings, /, **options: Any) -> None:
    """Do transactions: store a value, and first read what was there if the key exists."""
    _bench(settings, "txn", _txn, options)


@bench.command(cls=Command)
@_options
@pass_settings
def watch(settings: Settings, /, **options: Any) -> None:
    """Watch the same keys many times: the time from a put to each of its events.

    One writer puts the next value when every watch has had the last one. --count is the number of puts.
    """
    _bench(settings, "watch", _watch, options)


def _bench(settings: Settings, name: str, load: Load, options: dict[str, Any]) -> None:
    run = Run(_plan(settings, **options))
    run_async(_measure(settings, name, load, run))


def _plan(
    settings: Settings,
    *,
    callers: int,
    count: int | None,
    seconds: float | None,
    key_size: int,
    value_size: int,
    prefix: str,
    keep: bool,
) -> Plan:
    if count is not None and seconds is not None:
        raise click.UsageError("give --count or --seconds, not both")
    own = from_typed(prefix, hexadecimal=settings.hex) + secrets.token_hex(4).encode() + b"/"
    if key_size < len(own) + NUMBER_BYTES:
        raise click.UsageError(f"with this prefix --key-size is at least {len(own) + NUMBER_BYTES}")
    return Plan(
        callers=callers,
        calls_max=count,
        seconds=seconds or 5.0,
        key_bytes=key_size,
        value=os.urandom(value_size),
        prefix=own,
        keep=keep,
    )


async def _measure(settings: Settings, name: str, load: Load, run: Run) -> None:
    from kvraft.client import KeyRange

    async with connect_async(settings) as client:
        await client.kv.count(KeyRange.prefix(run.plan.prefix))  # fails before anything is written
        async with _deleted_at_the_end(client, run.plan):
            try:
                async with _progress(name, run):
                    await load(client, run)
            finally:
                # Also after Ctrl-C, which cancels this task.
                run.end()
                if run.begun:
                    _print(settings, name, run)
        if run.last_error is not None:
            run.last_error.add_note(f"It is the last of {run.errors.total():,} errors.")
            raise run.last_error


@asynccontextmanager
async def _deleted_at_the_end(client: Client, plan: Plan) -> AsyncIterator[None]:
    """The keys of the run, unless they are to be kept."""
    try:
        yield
    finally:
        if not plan.keep:
            await _delete_keys(client, plan)


async def _delete_keys(client: Client, plan: Plan) -> None:
    from kvraft.client import KeyRange, KvraftError

    try:
        while (await client.kv.delete_range(KeyRange.prefix(plan.prefix))).more:
            pass
    except KvraftError as error:
        error.add_note(f"Keys may be left: kvctl --hex del --prefix {plan.prefix.hex()}")
        raise


# --- loads ------------------------------------------------------------------------------------------


async def _put(client: Client, run: Run) -> None:
    plan = run.plan
    await client.kv.put(plan.key(0), plan.value)  # which connects and registers the client
    await _call(run, lambda number: client.kv.put(plan.key(number), plan.value))


async def _get(client: Client, run: Run) -> None:
    plan = run.plan
    for first in range(0, plan.keys, plan.callers):
        numbers = range(first, min(first + plan.callers, plan.keys))
        # All are waited for: none may be written after the keys were deleted.
        written = await asyncio.gather(
            *(client.kv.put(plan.key(number), plan.value) for number in numbers), return_exceptions=True
        )
        for each in written:
            if isinstance(each, BaseException):
                raise each
    await _call(run, lambda number: client.kv.get(plan.key(number)))


async def _txn(client: Client, run: Run) -> None:
    from kvraft.client import Compare, Get, Put

    plan = run.plan

    def transaction(number: int) -> Awaitable[object]:
        key = plan.key(number)
        stored = Put(key, plan.value)
        return client.kv.txn(compare=[Compare.missing(key)], success=[stored], failure=[Get(key), stored])

    await client.kv.put(plan.key(0), plan.value)
    await _call(run, transaction)


async def _call(run: Run, operation: Callable[[int], Awaitable[object]]) -> None:
    """Every caller asks, waits for the answer, and asks again."""
    from kvraft.client import KvraftError

    async def caller() -> None:
        while not run.is_over():
            number = run.next_call()
            began_s = time.perf_counter()
            try:
                await operation(number)
            except KvraftError as error:
                await run.failed(error)
            else:
                run.latencies.add(time.perf_counter() - began_s)

    run.begin()
    async with asyncio.TaskGroup() as group:
        for _ in range(run.plan.callers):
            group.create_task(caller())


class _Watches:
    """Many watches of the same keys. Each value says when it was put; the first one says 0, and that every
    watch has had it shows that all of them have begun."""

    __slots__ = ("_all_had_it", "_beginning", "_client", "_missing", "_open", "_run", "_stamp")

    def __init__(self, client: Client, run: Run) -> None:
        self._client = client
        self._run = run
        self._stamp = 0
        """Of the last value."""
        self._open = run.plan.callers
        """Watches that did not fail."""
        self._missing = self._open
        """Those that did not have the last value yet."""
        self._all_had_it = asyncio.Event()
        self._beginning = asyncio.Semaphore(WATCHES_BEGINNING_MAX)

    async def measure(self) -> None:
        plan = self._run.plan
        first = await self._client.kv.put(plan.key(0), self._value(0))
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(self._follow(first.header.revision)) for _ in range(plan.callers)]
            await self._all_had_it.wait()
            self._run.begin()
            while self._open and not self._run.is_over():
                await self._put()
            for each in watches:
                each.cancel()

    async def _put(self) -> None:
        from kvraft.client import KvraftError

        number = self._run.next_call()
        self._stamp = time.perf_counter_ns()
        self._missing = self._open
        self._all_had_it.clear()
        try:
            await self._client.kv.put(self._run.plan.key(number), self._value(self._stamp))
        except KvraftError as error:
            await self._run.failed(error)
        else:
            await self._all_had_it.wait()

    async def _follow(self, start_revision: int) -> None:
        from kvraft.client import KeyRange, KvraftError

        keys = KeyRange.prefix(self._run.plan.prefix)
        events = aiter(self._client.kv.watch(keys, start_revision=start_revision))
        stamp = -1
        try:
            async with self._beginning:
                stamp = self._had(await anext(events))
            async for event in events:
                stamp = self._had(event)
        except KvraftError as error:
            self._open -= 1
            if stamp != self._stamp:
                self._one_less()
            await self._run.failed(error)

    def _had(self, event: Event) -> int:
        """One watch had an event. Returns its stamp."""
        stamp = int.from_bytes(event.kv.value[:STAMP_BYTES])
        if stamp:
            self._run.latencies.add((time.perf_counter_ns() - stamp) / 1e9)
        if stamp == self._stamp:
            self._one_less()
        return stamp

    def _one_less(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all_had_it.set()

    def _value(self, stamp: int) -> bytes:
        return stamp.to_bytes(STAMP_BYTES) + self._run.plan.value[STAMP_BYTES:]


async def _watch(client: Client, run: Run) -> None:
    await _Watches(client, run).measure()


# --- what is printed --------------------------------------------------------------------------------


@asynccontextmanager
async def _progress(name: str, run: Run) -> AsyncIterator[None]:
    """A bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(name), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[rate]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=run.plan.calls_max or run.plan.seconds, rate="")

        async def show() -> None:
            while True:
                done = run.begun if run.plan.calls_max else run.elapsed_s
                bar.update(task, completed=done, rate=f"{_per_s(run):,.0f}/s", refresh=True)
                await asyncio.sleep(SHOW_S)

        showing = asyncio.create_task(show())
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait((showing,))


def _per_s(run: Run) -> float:
    return run.latencies.count / run.elapsed_s if run.elapsed_s else 0.0


def _print(settings: Settings, name: str, run: Run) -> None:
    if settings.as_json:
        print_json(_object(settings, name, run))
    else:
        for line in _lines(settings, name, run):
            print_line(line)
    sys.stdout.flush()


def _latency_ms(latencies: Histogram) -> dict[str, float]:
    return {
        **{f"p{percent}": latencies.percentile_s(percent) * 1e3 for percent in (50, 90, 99)},
        "max": latencies.max_s * 1e3,
    }


def _object(settings: Settings, name: str, run: Run) -> dict[str, Any]:
    plan, latencies = run.plan, run.latencies
    latency_ms = (
        {key: round(ms, 3) for key, ms in _latency_ms(latencies).items()} if latencies.count else None
    )
    return {
        "load": name,
        "callers": plan.callers,
        "key_bytes": plan.key_bytes,
        "value_bytes": len(plan.value),
        **to_json("prefix", plan.prefix, hexadecimal=settings.hex),
        "elapsed_s": round(run.elapsed_s, 6),
        "count": latencies.count,
        "per_s": round(_per_s(run), 1),
        "latency_ms": latency_ms,
        "histogram": [{"below_ms": bound_ms, "count": count} for bound_ms, count in latencies.rows()],
        "errors": dict(run.errors),
    }


def _lines(settings: Settings, name: str, run: Run) -> Iterator[str]:
    plan, latencies = run.plan, run.latencies
    counted = f"{latencies.count:,} events of" if name == "watch" else f"{latencies.count:,} calls by"
    callers = "watches" if name == "watch" else "callers"
    yield f"{name}: {counted} {plan.callers:,} {callers} in {run.elapsed_s:.2f} s, {_per_s(run):,.0f}/s"
    if latencies.count:
        yield ", ".join(f"{key} {ms:,.3g} ms" for key, ms in _latency_ms(latencies).items())
        yield ""
        yield from latencies.lines()
    for reason, count in run.errors.most_common():
        yield f"{count:,} failed: {reason}"
    if plan.keep:
        yield f"kept: {to_cell(plan.prefix, hexadecimal=settings.hex)}"
