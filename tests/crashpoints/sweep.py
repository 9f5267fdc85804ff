"""One operation, and a fault at each of its disk calls in turn.

Runs without faults tell which calls there are. Then each of them meets each fault, and one call more
than was seen, since threads do not always do the same. After each fault the node is started again and must
hold everything, by itself. The same cluster and the same directories go through all of it, so that what one
crash leaves behind is there in the next.
"""

from __future__ import annotations

import itertools
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvraft import exit_codes
from kvraft.storage.log import SegmentedLog
from kvraft.storage.state import FIRST_GENERATION, open_state
from tests.cluster.harness import Cluster
from tests.crashpoints.operations import Files, Operation, Scene
from tests.crashpoints.strace import DELETIONS, SYNCS, WRITES, Call, Fault, Point, Strace

LOOKS = 2
"""The very first time is not like the others."""
ATTEMPTS = 3
"""How often a call that was seen before is tried until it is made again."""


@dataclass(slots=True)
class Findings:
    """What a sweep of one operation met."""

    operation: str
    points: list[Point] = field(default_factory=list)
    """Seen without faults."""
    outcomes: dict[tuple[Point, Fault], list[str]] = field(default_factory=dict)
    """What became of the node, each time a call was hit."""
    failures: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Which calls on which files never met which fault."""
        met = {(replace(point, number=0), fault) for point, fault in self.outcomes}
        seen = {replace(point, number=0) for point in self.points}
        return [
            f"{self.operation}: no {kind} met {fault.name}"
            for kind, fault in itertools.product(sorted(seen), Fault)
            if (kind, fault) not in met
        ]


class Sweep:
    """A cluster that goes from fault to fault."""

    def __init__(self, operation: Operation, scene: Scene, directory: Path) -> None:
        """See `opened`."""
        self.findings = Findings(operation.name)
        self._operation = operation
        self._scene = scene
        self._directory = directory
        self._runs = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def opened(cls, operation: Operation) -> AsyncIterator[Sweep]:
        """Starts the cluster and has a look at the operation without faults. At the end the victim is
        stopped and what it holds is verified."""
        with tempfile.TemporaryDirectory(prefix="kvraft-crashpoints-") as name:
            directory = Path(name)
            async with Cluster(directory, nodes=operation.nodes, flags=operation.flags) as cluster:
                victim = (await cluster.followers())[0] if operation.nodes > 1 else cluster.node_ids[0]
                sweep = cls(operation, Scene(cluster, victim), directory)
                await sweep._look()
                yield sweep
                await sweep._verify_stopped()

    async def _look(self) -> None:
        operation, scene = self._operation, self._scene
        points: set[Point] = set()
        for _ in range(LOOKS):
            await operation.prepare(scene)
            files = operation.files(scene)
            async with self._strace(itertools.chain(*files.values())) as strace:
                await operation.perform(scene)
                points |= points_of(await strace.settled(), files, scene.process_id)
            assert not scene.has_ended, "the victim ended without a fault"
        self.findings.points = sorted(points)

    async def meet(self, point: Point, fault: Fault) -> bool:
        """Whether the call was made, and the fault with it. What goes wrong is among the findings."""
        said_before = len(self._said())
        try:
            outcome = await self._meet(point, fault)
            assert "Exception in callback" not in self._said()[said_before:], "an error nobody took care of"
        except (AssertionError, TimeoutError) as error:
            outcome = "FAILED"
            failure = (
                f"{self._operation.name}, {point}, {fault.name}: {error!r}\n{self._said()[said_before:]}"
            )
            self.findings.failures.append(failure)
            try:
                await self._restart()
            except (AssertionError, TimeoutError) as still:
                raise AssertionError(f"the sweep cannot go on after {failure}") from still
        if outcome is None:
            return False
        self.findings.outcomes.setdefault((point, fault), []).append(outcome)
        return True

    async def _meet(self, point: Point, fault: Fault) -> str | None:
        """What became of the node; None if the call was not made."""
        operation, scene = self._operation, self._scene
        await operation.prepare(scene)
        files = operation.files(scene)[point.file]
        async with self._strace(files, inject=(point, fault)) as strace:
            await operation.perform(scene)
            calls = _from_nth(await strace.settled(), point)
            code = await self._exit_code(point, fault) if calls else None
            if code == exit_codes.STORAGE_FAILURE:
                assert_not_repeated(await strace.settled(), point)
        if not calls:
            await scene.assert_kept()
            return None
        assert fault is Fault.ENOSPC or not (operation.is_awaited(point) and scene.was_last_acknowledged), (
            "a write was acknowledged without this call"
        )
        if code is None:
            await operation.repeat(scene)
            assert not scene.has_ended, "the node ended later"
        await self._restart()
        return "goes on" if code is None else "killed" if code < 0 else f"exit {code}"

    async def _exit_code(self, point: Point, fault: Fault) -> int | None:
        """How the node ended; None: it goes on, as it may."""
        cluster, victim = self._scene.cluster, self._scene.victim
        allowed = self._operation.exit_codes(point)
        if fault is Fault.KILL:
            allowed = frozenset({-signal.SIGKILL})
        elif fault is Fault.ENOSPC and point.call not in SYNCS and not point.file.endswith("data.mdb"):
            allowed = frozenset({None})  # it is made again until there is room
        elif fault is Fault.ENOSPC or point.call in DELETIONS:
            allowed |= {None}  # of data.mdb, all but the page that says where the newest pages are
        if None in allowed and not self._scene.has_ended:
            return None
        code = await cluster.ended(victim)
        assert code in allowed, f"the node ended with exit code {code}"
        return code

    def _said(self) -> str:
        return self._scene.cluster.log(self._scene.victim)

    async def _restart(self) -> None:
        scene = self._scene
        if not scene.has_ended:
            await scene.cluster.kill(scene.victim)
        scene.cluster.start(scene.victim)
        await scene.cluster.leader()
        await scene.assert_kept()
        await scene.assert_tidy()

    def _strace(self, files: Iterable[Path], *, inject: tuple[Point, Fault] | None = None) -> Strace:
        output = self._directory / f"strace.{next(self._runs)}"
        return Strace(self._scene.process_id, files, output, inject=inject)

    async def _verify_stopped(self) -> None:
        cluster, victim = self._scene.cluster, self._scene.victim
        cluster.signal(victim, signal.SIGTERM)
        assert await cluster.ended(victim) == exit_codes.OK
        log = SegmentedLog.open(self._scene.log_directory)
        installed = log.recovered.installed_snapshot
        log.close()
        state = open_state(
            self._scene.state_directory, FIRST_GENERATION if installed is None else installed.generation
        )
        state.verify()
        state.close()


def points_of(calls: Iterable[Call], files: Files, loop_thread_id: int) -> set[Point]:
    """Where faults can be put."""
    names = {path: name for name, paths in files.items() for path in paths}
    counts: Counter[tuple[str, str, int]] = Counter()
    for call in calls:
        if call.path in names:
            counts[names[call.path], call.name, call.thread_id] += 1
    return {
        Point(file, call, number, in_loop=thread_id == loop_thread_id)
        for (file, call, thread_id), count in counts.items()
        for number in range(1, count + 1)
    }


def _beyond(points: Iterable[Point]) -> list[Point]:
    """One call more of each kind than was seen."""
    last: dict[tuple[str, str, bool], Point] = {}
    for point in sorted(points):
        kind = (point.file, point.call, point.in_loop)
        if kind not in last or last[kind].number < point.number:
            last[kind] = point
    return [replace(point, number=point.number + 1) for point in last.values()]


def _from_nth(calls: list[Call], point: Point) -> list[Call]:
    """The call of the point, and what its thread did after it; empty if it was not reached."""
    counts: Counter[int] = Counter()
    for position, call in enumerate(calls):
        if call.name == point.call:
            counts[call.thread_id] += 1
            if counts[call.thread_id] == point.number:
                return [each for each in calls[position:] if each.thread_id == call.thread_id]
    return []


def assert_not_repeated(calls: list[Call], point: Point) -> None:
    """After a failed write or sync the kernel calls pages clean that never reached the disk: a second one
    succeeds and means nothing. (LMDB may write back what was there before.)"""
    failed, *later = _from_nth(calls, point)
    assert failed.was_made_to_fail, failed
    if failed.name in WRITES | SYNCS:
        useless = SYNCS if point.file.endswith("data.mdb") else WRITES | SYNCS
        again = [call for call in later if call.name in useless]
        assert not again, f"after {failed.name} failed: {again}"


async def sweep(operation: Operation) -> Findings:
    """Every fault at every point, and SIGKILL one further."""
    async with Sweep.opened(operation) as opened:
        points = opened.findings.points
        await _meet_all(opened, itertools.product(points, Fault))
        await _meet_all(opened, ((point, Fault.KILL) for point in _beyond(points)), attempts=1)
    return opened.findings


async def sample(operation: Operation, size: int) -> Findings:
    """Up to `size` points from first to last, the faults in turn."""
    async with Sweep.opened(operation) as opened:
        points = [point for point in opened.findings.points if point.number == 1]
        chosen = [points[number * len(points) // size] for number in range(size)]
        await _meet_all(opened, zip(chosen, itertools.cycle(Fault), strict=False))
    return opened.findings


async def _meet_all(sweep: Sweep, faults: Iterable[tuple[Point, Fault]], attempts: int = ATTEMPTS) -> None:
    for point, fault in faults:
        for _ in range(attempts):
            if await sweep.meet(point, fault):
                break
