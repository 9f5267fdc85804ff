"""The runs that are recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from kvraft.client import OutcomeUnknown
from kvraft.members import MemberAddresses
from kvraft.storage.data_directory import DataDirectory
from kvraft.storage.interfaces import Identity
from kvraft.storage.log import SegmentedLog
from tests.powerloss import strace
from tests.powerloss.checker import Recording, interrupted, lay_out
from tests.powerloss.disk import Chosen, Disk, Image
from tests.powerloss.events import Answer, Event, Sync
from tests.powerloss.nodes import SEGMENT_BYTES, Load, TracedNodes, led, logged, tidied
from tests.powerloss.translation import answers_of, events_of

SEED = 1
ATTEMPTS = 3

T = TypeVar("T")


def recorded(scenario: Callable[[Path], T], directory: Path) -> T:
    """Of a run in which the outcome of every write is known. On a very busy machine a leader may be held up
    so long that it is deposed in the middle of one; then the run is made anew."""
    attempt = 1
    while True:
        place = directory / str(attempt)
        place.mkdir(parents=True)
        try:
            return scenario(place)
        except OutcomeUnknown:
            if attempt == ATTEMPTS:
                raise
            attempt += 1


def one_node(directory: Path, puts: int) -> Recording:
    """Created, written to, killed while it flushes and tidies up, started again, stopped in order."""
    load = Load(SEED)
    with TracedNodes(directory, 1) as nodes:
        nodes.start(1)

        async def story() -> None:
            await load.put(nodes.client(), puts, large_bytes=70_000)
            nodes.kill(1)
            nodes.start(1)
            await load.put(nodes.client(), puts)
            # Two of these fill a segment; one is too little for a spare to be made ready, so that the
            # segment before it, when it is dropped, is used again.
            for _ in range(3):
                await load.put(nodes.client(), 1, large_bytes=SEGMENT_BYTES * 4 // 9)
                await tidied(nodes, 1)
            nodes.stop(1)

        asyncio.run(story())
    return _recordings(nodes, load, "one node", [1])[0]


def two_nodes(directory: Path, puts: int) -> list[Recording]:
    """Both are needed for everything. The leader is killed, comes back, and is killed again: terms, votes,
    and a follower's log."""
    load = Load(SEED)
    with TracedNodes(directory, 2) as nodes:
        nodes.start(1)
        nodes.start(2)

        async def story() -> None:
            for _ in range(2):
                await load.put(nodes.client(), puts)
                nodes.kill(load.leader)
                nodes.start(load.leader)
                await led(nodes, load.leader)
            await load.put(nodes.client(), puts)
            nodes.stop(1)
            nodes.stop(2)

        asyncio.run(story())
    return _recordings(nodes, load, "two nodes", [1, 2])


def snapshot(directory: Path, puts: int) -> Recording:
    """A third node comes late and is sent a snapshot, since the log is gone. Then one of the first two stops,
    and from there on the third is needed for everything."""
    load = Load(SEED)
    needed_after = 0
    with TracedNodes(directory, 3) as nodes:
        nodes.start(1)
        nodes.start(2)

        async def story() -> None:
            nonlocal needed_after
            await load.put(nodes.client(), 2 * puts, large_bytes=2 * SEGMENT_BYTES)
            await load.put(nodes.client(), puts)
            await tidied(nodes, 1)
            await tidied(nodes, 2)
            nodes.start(3)
            await logged(nodes, 3, "snapshot received")
            await load.put(nodes.client(), puts // 2)
            needed_after = load.revision
            nodes.stop(2 if load.leader == 1 else 1)
            await load.put(nodes.client(), puts)
            nodes.kill(3)
            nodes.start(3)
            await led(nodes, 3)
            await load.put(nodes.client(), puts // 2)
            nodes.stop(3)

        asyncio.run(story())
    return _recordings(nodes, load, "snapshot", [3], needed_after=needed_after, votes=False)[0]


def one_node_again(directory: Path, first: Recording, scratch: Path, puts: int) -> Recording:
    """Starts on what a power cut left of another recording of one node, so that the power can fail again
    while it recovers."""
    image, promise, revision = interrupted(first, scratch, seed=SEED)
    load = Load(SEED + 1, first.history[:revision])
    with TracedNodes(directory, 1) as nodes:
        lay_out(image, nodes.data_directory(1).parent)
        nodes.start(1)

        async def story() -> None:
            await load.put(nodes.client(), puts)
            nodes.stop(1)

        asyncio.run(story())
    promised = Answer(moment=-1, revision=promise.revision, term=promise.term, leader=promise.leader)
    (recording,) = _recordings(nodes, load, "one node again", [1], initial=image)
    return replace(recording, before=[*recording.before, promised])


def _recordings(
    nodes: TracedNodes,
    load: Load,
    name: str,
    node_ids: Iterable[int],
    *,
    needed_after: int = 0,
    votes: bool = True,
    initial: Image | None = None,
) -> list[Recording]:
    with nodes.trace.open(encoding="ascii") as lines:
        calls = list(strace.read(lines))
    answers = answers_of(calls, {_port(member) for member in nodes.members.values()})
    assert sorted(answer.revision for answer in answers) == load.acknowledged, (
        "the answers in the recording are not those that arrived"
    )
    recordings = []
    for node_id in node_ids:
        directory = nodes.data_directory(node_id)
        before, events = events_of(calls, directory, initial)
        _assert_complete([*before, *events], directory)
        recordings.append(
            Recording(
                name=name if len(nodes.members) == 1 else f"{name}, node {node_id}",
                identity=_identity(directory),
                before=before,
                events=sorted([*events, *answers], key=lambda event: event.moment),
                history=load.history(),
                needed_after=needed_after,
                votes=votes,
            )
        )
    return recordings


def _assert_complete(events: list[Event], data_directory: Path) -> None:
    """The model of the disk with every effect in it is the real directory, byte by byte; but for LMDB's lock
    file, which is written through memory and means nothing after a restart."""
    disk = Disk()
    for event in events:
        if not isinstance(event, Sync):
            disk.take(event)
    for number in list(disk.directories):
        disk.take(Sync(moment=0, began=events[-1].moment + 2, inode=number))
    for number in list(disk.files):
        disk.take(Sync(moment=0, began=events[-1].moment + 2, inode=number))
    rebuilt = disk.image(Chosen())
    top = data_directory.parent
    found = {
        str(path.relative_to(top)): None if path.is_dir() else path.read_bytes() for path in top.rglob("*")
    }
    assert rebuilt.keys() == found.keys(), (sorted(rebuilt), sorted(found))
    for path, contents in found.items():
        assert path.endswith("lock.mdb") or rebuilt[path] == contents, f"{path} is not as it was recorded"


def _identity(data_directory: Path) -> Identity:
    directory = DataDirectory.open(data_directory)
    try:
        log = SegmentedLog.open(directory.log_directory, segment_bytes=SEGMENT_BYTES)
        log.close()
        return log.identity
    finally:
        directory.close()


def _port(member: MemberAddresses) -> int:
    return int(member.client_address.rpartition(":")[2])
