"""What a node does with its disk, one operation at a time, so that each call of it can be made to fail.

An operation says how a node is brought up to it (`prepare`), which files it is about (`files`), how it is
set off (`perform`), and whether a failed call may, must or must not stop the node (`exit_codes`).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

from kvraft import exit_codes
from kvraft.client import KeyRange, KvraftError
from tests.cluster.harness import Cluster, eventually
from tests.cluster.unary import UnaryClient
from tests.crashpoints.strace import Point

Files = dict[str, list[Path]]
"""The files of an operation by what they are called in the report."""

PATIENCE_S = 10.0
_NEVER_MS = 600_000
_ONE_NODE = ("--election-timeout-ms=50", "--heartbeat-interval-ms=10")
_SMALL_SEGMENT = "--segment-bytes=65536"
_VALUE_BYTES = 16_000
"""Four writes fill a small segment."""
_STOPS = frozenset({exit_codes.STORAGE_FAILURE})
_GOES_ON = frozenset({None})


class Scene:
    """A cluster, the node whose disk fails, and everything that the cluster was asked to keep."""

    def __init__(self, cluster: Cluster, victim: int) -> None:
        self.cluster = cluster
        self.victim = victim
        self.acknowledged: dict[bytes, bytes] = {}
        self.refused: set[bytes] = set()
        """Keys of writes that are said not to be applied."""
        self.was_last_acknowledged = False
        self._asked = 0

    @property
    def others(self) -> list[int]:
        return [each for each in self.cluster.node_ids if each != self.victim]

    @property
    def process_id(self) -> int:
        return self.cluster.processes[self.victim].pid

    @property
    def has_ended(self) -> bool:
        return self.cluster.processes[self.victim].poll() is not None

    @property
    def log_directory(self) -> Path:
        return self.cluster.data_directory(self.victim) / "log"

    @property
    def state_directory(self) -> Path:
        return self.cluster.data_directory(self.victim) / "state"

    def segments(self) -> list[Path]:
        """The segments of the victim's log, the one that is written to last."""
        return sorted(self.log_directory.glob("*.log"))

    async def is_flushed(self) -> bool:
        """Whether the state on the victim's disk includes everything."""
        statuses = await self.cluster.statuses(self.victim)
        return any(status.flushed_index == status.last_log_index for status in statuses)

    async def put(self, size_bytes: int, *node_ids: int) -> bool:
        """A write of a new key through these nodes, or any: whether it was acknowledged."""
        self.was_last_acknowledged = False
        self._asked += 1
        key = b"key/%06d" % self._asked
        value = (b"%06d" % self._asked) * (size_bytes // 6)
        members = self.cluster.members
        asked = ",".join(members[each].client_address for each in node_ids or self.cluster.node_ids)
        async with UnaryClient(asked, timeout_s=2.0) as client:
            try:
                await client.put(key, value)
            except KvraftError as error:
                if error.applied == "no":
                    self.refused.add(key)
                return False
        self.acknowledged[key] = value
        self.was_last_acknowledged = True
        return True

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Waits until it is so, or the victim has ended."""

        async def is_over() -> bool:
            return self.has_ended or await condition()

        await eventually(is_over, what, PATIENCE_S)

    async def assert_kept(self) -> None:
        """The victim has every acknowledged write, no refused one, and the same state as the others."""
        async with self.cluster.client(self.victim) as client:
            found = {kv.key: kv.value async for kv in client.kv.stream_range(KeyRange.prefix(b"key/"))}
        lost = [key for key, value in self.acknowledged.items() if found.get(key) != value]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged writes are lost: {lost[:5]}"
        there = sorted(self.refused & found.keys())
        assert not there, f"writes that were answered with 'not applied' are there: {there[:5]}"
        await self.cluster.assert_equal_states()

    async def assert_tidy(self) -> None:
        """Nothing that was begun is left over."""

        async def tidy() -> bool:
            log = {file.name for file in self.log_directory.iterdir() if file.suffix != ".log"}
            (state, *more_states) = self.state_directory.iterdir()
            return (
                log <= {"spare.tmp"}
                and not more_states
                and len(state.name) == 8
                and {file.name for file in state.iterdir()} == {"data.mdb", "lock.mdb", "history"}
                and {file.suffix for file in (state / "history").iterdir()} <= {".blocks"}
                and {file.name for file in self.log_directory.parent.iterdir()}
                == {"LOCK", "FORMAT", "log", "state"}
            )

        try:
            await eventually(tidy, "tidy", PATIENCE_S)
        except AssertionError:
            left = sorted(map(str, self.log_directory.parent.rglob("*")))
            raise AssertionError(f"something is left over: {left}") from None


class Operation(ABC):
    """See above."""

    name: str
    nodes = 1
    flags: tuple[str, ...] = ()

    async def prepare(self, scene: Scene) -> None:  # noqa: B027 - most begin wherever the node is
        """Up to where the faults begin. The victim runs, and need not serve yet."""

    @abstractmethod
    def files(self, scene: Scene) -> Files:
        """What the operation is about to write, make, rename or delete."""

    @abstractmethod
    async def perform(self, scene: Scene) -> None:
        """Sets it off and waits until it is done, or the victim has ended. AssertionError if neither."""

    async def repeat(self, scene: Scene) -> None:
        """Shows that a node that went on after a fault is none the worse for it."""
        await self.prepare(scene)
        await self.perform(scene)

    @abstractmethod
    def exit_codes(self, point: Point) -> frozenset[int | None]:
        """How the node may end when this call fails; None: it goes on, and does it again by itself."""

    def is_awaited(self, point: Point) -> bool:
        """Whether a write must not be acknowledged when this call was not made."""
        return False


class Commit(Operation):
    """One write, alone: a record of the log."""

    name = "commit"
    flags = (*_ONE_NODE, "--segment-bytes=1048576", f"--flush-interval-ms={_NEVER_MS}")

    def files(self, scene: Scene) -> Files:
        return {"segment": scene.segments()[-1:]}

    async def perform(self, scene: Scene) -> None:
        await scene.put(300)

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        return _STOPS

    def is_awaited(self, point: Point) -> bool:
        return True


class Flush(Operation):
    """What was applied goes from memory to LMDB."""

    name = "flush"
    flags = (*_ONE_NODE, "--segment-bytes=1048576", "--flush-interval-ms=100")

    def files(self, scene: Scene) -> Files:
        (state,) = scene.state_directory.iterdir()
        return {"data.mdb": [state / "data.mdb"], "lock.mdb": [state / "lock.mdb"], "generation": [state]}

    async def perform(self, scene: Scene) -> None:
        await scene.put(_VALUE_BYTES)
        await scene.until(scene.is_flushed, "the state is flushed")

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        return _STOPS


class HistoryChange(Operation):
    """The history of a node that was started goes on in a new file, and soon nothing of the one before is
    kept, which is deleted."""

    name = "history change"
    flags = (*Flush.flags, "--history-revisions-max=1")

    async def prepare(self, scene: Scene) -> None:
        for _ in range(2):  # else the first flush of a node that was killed makes the file
            assert await scene.put(300), "a write before any fault"
            await eventually(scene.is_flushed, "the state is flushed")
        await scene.cluster.kill(scene.victim)
        scene.cluster.start(scene.victim)
        await scene.cluster.leader()

    def files(self, scene: Scene) -> Files:
        (state,) = scene.state_directory.iterdir()
        present = [int(file.stem) for file in (state / "history").iterdir()]
        return {
            "history/": [state / "history"],
            "old blocks": [state / "history" / f"{number:08}.blocks" for number in present],
            "new blocks": [state / "history" / f"{max(present) + 1:08}.blocks"],
        }

    async def perform(self, scene: Scene) -> None:
        for _ in range(3):
            if await scene.put(300):
                await scene.until(scene.is_flushed, "the state is flushed")

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        return _STOPS


class SegmentChange(Operation):
    """The log goes on in other files: one that is too large for a segment, one that is made when it is
    needed, one that was made ahead."""

    name = "segment change"
    flags = (*_ONE_NODE, _SMALL_SEGMENT, f"--flush-interval-ms={_NEVER_MS}")

    def files(self, scene: Scene) -> Files:
        directory = scene.log_directory
        newest = int(scene.segments()[-1].stem, 16)  # a segment is called by the number of its first record
        return {
            "next.tmp": [directory / "next.tmp"],
            "log/": [directory],
            "spare.tmp": [directory / "spare.tmp"],
            "new segments": [directory / f"{newest + ahead:016x}.log" for ahead in range(1, 64)],
        }

    async def perform(self, scene: Scene) -> None:
        goes_on = await scene.put(100_000)
        for _ in range(2):
            active = scene.segments()[-1]
            while goes_on and scene.segments()[-1] == active:
                goes_on = await scene.put(_VALUE_BYTES)

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        return _STOPS if self.is_awaited(point) else _GOES_ON

    def is_awaited(self, point: Point) -> bool:
        return point.file != "spare.tmp" or point.call.startswith("rename")


class Compaction(Operation):
    """Segments whose entries are in the flushed state go: the first becomes a spare, the rest is deleted."""

    name = "compaction"
    flags = (*_ONE_NODE, _SMALL_SEGMENT, "--log-retained-bytes=65536", "--flush-interval-ms=500")

    async def prepare(self, scene: Scene) -> None:
        spare, begun = scene.log_directory / "spare.tmp", 0
        while begun < 3 or len(scene.segments()) < 4 or spare.exists():
            active = scene.segments()[-1]
            while scene.segments()[-1] == active:
                assert await scene.put(_VALUE_BYTES), "a write before any fault"
            begun += 1

    def files(self, scene: Scene) -> Files:
        directory = scene.log_directory
        return {
            "segments": scene.segments()[:-1],
            "log/": [directory],
            "spare.tmp": [directory / "spare.tmp"],
        }

    async def perform(self, scene: Scene) -> None:
        """Where the flush that sets it off came a moment too early, there is nothing left to be done."""
        await scene.put(300)
        await scene.until(scene.is_flushed, "the state is flushed")

    async def repeat(self, scene: Scene) -> None:
        oldest = scene.segments()[0]
        await self.prepare(scene)
        await self.perform(scene)

        async def gone() -> bool:
            return not oldest.exists()

        await scene.until(gone, "the oldest segment is gone")

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        return _GOES_ON


class Erasure(Operation):
    """A user is erased, and the files are made anew: the state is copied beside itself, the log begins anew
    after it and says that the copy is the state now, and what was before is deleted. (How segments are made
    and deleted is looked at by the two above.)"""

    name = "erasure"
    flags = (*_ONE_NODE, _SMALL_SEGMENT, "--flush-interval-ms=100", "--erasure-delay-ms=300")
    _user = "erin"

    async def prepare(self, scene: Scene) -> None:
        """Erasures that a fault held up are done with first."""
        async with scene.cluster.client(scene.victim) as client:
            await client.sessions.register_device(self._user, "phone")
        assert await scene.put(_VALUE_BYTES), "a write before any fault"

        async def settled() -> bool:
            return await self._is_clean(scene)

        await eventually(settled, "the files hold nothing of earlier erasures", PATIENCE_S)
        await scene.assert_tidy()

    async def _is_clean(self, scene: Scene) -> bool:
        """Whether the victim's files hold nothing that was erased."""
        async with scene.cluster.client(scene.victim, timeout_s=2.0) as client:
            try:
                newest = (await client.admin.audit(page_size=1)).entries
                if not newest:
                    return True
                (progress,) = (await client.admin.erasure(newest[0].revision)).values()
            except KvraftError:
                return False
        return not isinstance(progress, KvraftError) and progress.is_clean

    def files(self, scene: Scene) -> Files:
        (present,) = scene.state_directory.iterdir()
        copy = scene.state_directory / f"{int(present.name) + 1:08}"
        newest = int(scene.segments()[-1].stem, 16)
        directory = scene.log_directory
        return {
            "new data.mdb": [copy / "data.mdb"],
            "new lock.mdb": [copy / "lock.mdb"],
            "new generation": [copy],
            "new history/": [copy / "history"],
            "state/": [scene.state_directory],
            "old generation": [present],
            "new segments": [directory / f"{newest + ahead:016x}.log" for ahead in range(1, 16)],
            "log/": [directory],
        }

    async def perform(self, scene: Scene) -> None:
        # Files are made anew when no client can ask again for an answer from before; one that lost its node
        # could for an hour.
        address = scene.cluster.members[scene.victim].client_address
        async with UnaryClient(address, timeout_s=2.0) as client:
            try:
                await client.erase_user(self._user)
            except KvraftError:
                return
        await scene.until(lambda: self._is_clean(scene), "the files hold nothing that was erased")

    async def repeat(self, scene: Scene) -> None:
        """What a fault held up is done in the end."""
        await self.prepare(scene)

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        """Segments from before only take space, and are tried again when the log goes on."""
        return _STOPS | _GOES_ON if point.file == "log/" else _STOPS


class SnapshotInstall(Operation):
    """A follower starts whose place in the log is gone: it receives a state, writes into its log that this
    is the state now, and deletes the old one."""

    name = "snapshot install"
    nodes = 3
    flags = (_SMALL_SEGMENT, "--log-retained-bytes=65536", "--flush-interval-ms=100")

    async def prepare(self, scene: Scene) -> None:
        cluster = scene.cluster
        await scene.assert_tidy()  # the state before may still be on its way out
        (before,) = await cluster.statuses(scene.victim)
        await cluster.kill(scene.victim)
        await cluster.leader(among=scene.others)
        await asyncio.gather(*(scene.put(_VALUE_BYTES, *scene.others) for _ in range(24)))

        async def gone() -> bool:
            if any(
                s.first_log_index <= before.last_log_index + 1 for s in await cluster.statuses(*scene.others)
            ):
                assert await scene.put(_VALUE_BYTES, *scene.others)
                return False
            return True

        await eventually(gone, "the others drop the log that the victim needs")
        cluster.start(scene.victim)

    def files(self, scene: Scene) -> Files:
        (present,) = scene.state_directory.iterdir()
        received = scene.state_directory / f"{int(present.name) + 1:08}"
        directory = scene.log_directory
        return {
            "new data.mdb": [received / "data.mdb"],
            "new lock.mdb": [received / "lock.mdb"],
            "new generation": [received],
            "new history/": [received / "history"],
            "state/": [scene.state_directory],
            "old generation": [present],
            "segments": scene.segments(),
            "log/": [directory],
            "spare.tmp": [directory / "spare.tmp"],
            "next.tmp": [directory / "next.tmp"],
        }

    async def perform(self, scene: Scene) -> None:
        async def caught_up() -> bool:
            statuses = await scene.cluster.statuses()
            return len(statuses) == self.nodes and len({s.applied_index for s in statuses}) == 1

        await scene.until(caught_up, "the follower has caught up")

    async def repeat(self, scene: Scene) -> None:
        """It has caught up already, and must not keep what came in vain."""
        await scene.assert_tidy()

    def exit_codes(self, point: Point) -> frozenset[int | None]:
        """Segments from before the snapshot only take space, and may stay."""
        return _STOPS | _GOES_ON if point.file in ("segments", "log/", "spare.tmp") else _STOPS


OPERATIONS: tuple[Operation, ...] = (
    Commit(),
    Flush(),
    HistoryChange(),
    SegmentChange(),
    Compaction(),
    Erasure(),
    SnapshotInstall(),
)
