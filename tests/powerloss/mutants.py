"""Recordings of a node that is less careful than ours: a sync, or a wait for one, is taken out. Each must be
found; a check that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.powerloss.checker import LOST, REFUSED, Recording
from tests.powerloss.events import Answer, Event, Link, Rename, Sync, Unlink, WriteSync

Filter = Callable[["Names", Event], bool]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A careless node."""

    name: str
    recording: str
    """The name of one that shows it."""
    change: Callable[[Sequence[Event]], Iterable[Event]]
    verdict: str
    """As what it is found."""


class Names:
    """What the files and directories are called, as events pass by."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {0: ""}
        self._inodes: dict[tuple[int, str], int] = {}
        self._last_change: dict[int, Event] = {}

    def take(self, event: Event) -> None:
        match event:
            case Link():
                self._inodes[event.directory, event.name] = event.inode
                self._paths[event.inode] = f"{self._paths[event.directory]}/{event.name}"
            case Rename():
                inode = self._inodes.pop((event.directory, event.old))
                self._inodes[event.directory, event.new] = inode
                old, new = self._paths[inode], f"{self._paths[event.directory]}/{event.new}"
                for each, path in self._paths.items():
                    if path == old or path.startswith(f"{old}/"):
                        self._paths[each] = new + path.removeprefix(old)
        if isinstance(event, Link | Rename | Unlink):
            self._last_change[event.directory] = event

    def path(self, inode: int) -> str:
        return self._paths[inode]

    def last_change(self, directory: int) -> Event | None:
        """The last thing that happened to the names in a directory."""
        return self._last_change.get(directory)


def mutated(recording: Recording, mutant: Mutant) -> Recording:
    """The recording as the careless node would have made it. Asserts that anything is different."""
    events = list(mutant.change(recording.events))
    assert events != list(recording.events), f"nothing in {recording.name} to make {mutant.name!r} of"
    return replace(recording, name=f"{recording.name}, {mutant.name}", events=events)


def _without(dropped: Filter) -> Callable[[Sequence[Event]], Iterator[Event]]:
    def change(events: Sequence[Event]) -> Iterator[Event]:
        names = Names()
        for event in events:
            names.take(event)
            if not dropped(names, event):
                yield event

    return change


def _record(names: Names, event: Event) -> bool:
    # Appends go through O_DSYNC, or are followed by an fdatasync.
    match event:
        case WriteSync():
            return names.path(event.file).endswith(".log")
        case Sync():
            return names.path(event.inode).endswith(".log")
    return False


def _file_sync(end: str) -> Filter:
    return lambda names, event: isinstance(event, Sync) and names.path(event.inode).endswith(end)


def _state_root(names: Names, event: Event) -> bool:
    return isinstance(event, WriteSync) and names.path(event.file).endswith("/data.mdb")


def _reused_name(names: Names, event: Event) -> bool:
    if not (isinstance(event, Sync) and names.path(event.inode).endswith("/log")):
        return False
    change = names.last_change(event.inode)
    return isinstance(change, Rename) and change.old.endswith(".log")


def _answers_early(events: Sequence[Event]) -> list[Event]:
    """Each answer leaves when the write that was made durable last before it had just begun."""
    names = Names()
    changed: list[Event] = []
    began = 0
    for event in events:
        names.take(event)
        if _record(names, event):
            assert isinstance(event, WriteSync | Sync)
            began = event.written if isinstance(event, WriteSync) else event.began
        changed.append(replace(event, moment=began) if isinstance(event, Answer) else event)
    return sorted(changed, key=lambda event: event.moment)


def _term_forgotten(events: Sequence[Event]) -> Iterator[Event]:
    """The term is one that never was written."""
    for event in events:
        yield replace(event, term=event.term + 1) if isinstance(event, Answer) else event


def _vote_forgotten(events: Sequence[Event]) -> Iterator[Event]:
    """The leader is one that this node did not write its vote for."""
    for event in events:
        yield replace(event, leader=event.leader + 1) if isinstance(event, Answer) else event


def _new_segment(names: Names, event: Event) -> bool:
    match event:
        case WriteSync():
            return names.path(event.file).endswith("/next.tmp")
        case Sync():
            return names.path(event.inode).endswith(("/next.tmp", "/spare.tmp"))
    return False


MUTANTS = (
    Mutant("records are written without a sync", "one node", _without(_record), LOST),
    Mutant("records and votes are written without a sync", "two nodes, node 1", _without(_record), LOST),
    Mutant("answers leave before the sync ends", "one node", _answers_early, LOST),
    Mutant("a term is not written", "one node", _term_forgotten, LOST),
    Mutant("a vote is not written", "one node", _vote_forgotten, LOST),
    Mutant("a segment's name is not synced", "one node", _without(_file_sync("/log")), LOST),
    Mutant("a segment has its name before it is synced", "one node", _without(_new_segment), REFUSED),
    Mutant("a segment is reused before its name is gone", "one node", _without(_reused_name), REFUSED),
    Mutant("the state's pages are not synced", "one node", _without(_file_sync("/data.mdb")), REFUSED),
    Mutant("the state's root is not synced", "one node", _without(_state_root), REFUSED),
    Mutant("the history is not synced", "one node", _without(_file_sync(".blocks")), REFUSED),
    Mutant(
        "the name of a file of history is not synced", "one node", _without(_file_sync("/history")), REFUSED
    ),
    Mutant("the first state's name is not synced", "one node", _without(_file_sync("/state")), REFUSED),
    Mutant("a received state is not synced", "snapshot, node 3", _without(_file_sync("2/data.mdb")), REFUSED),
    Mutant(
        "a received state's name is not synced", "snapshot, node 3", _without(_file_sync("/state")), REFUSED
    ),
)
