"""What watches were told, against what the log says.

From its first revision to the place where it stands a watch is owed every revision that changed something
it wants: once, in order, and with all of these changes at once. Through how many nodes it went on its way
does not matter, nor which of them were behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.sim.history import Change, Violation, WatchStory


def check_watch(story: WatchStory, changes: Mapping[int, Sequence[Change]]) -> None:
    """`changes`: what each revision has changed, in order. Raises Violation for the first revision that was
    told wrongly, or not at all."""
    due = {
        revision: wanted
        for revision in range(story.first, story.next)
        if (wanted := tuple(filter(story.watched.wants, changes.get(revision, ()))))
    }
    owed = iter(due)
    last = story.first - 1
    for revision, told in story.told:
        if revision <= last:
            raise Violation(f"revision {revision} was told to {_name(story)} after {last}: {told}")
        last = revision
        if revision not in due:
            raise Violation(f"revision {revision} was told to {_name(story)}, which is not owed it: {told}")
        missed = next(owed)
        if missed != revision:
            raise Violation(f"{_name(story)} missed revision {missed} before {revision}: {due[missed]}")
        if told != due[revision]:
            raise Violation(f"of revision {revision} {_name(story)} is owed {due[revision]}, was told {told}")
    for missed in owed:
        raise Violation(f"{_name(story)} missed revision {missed}, the last ones: {due[missed]}")


def _name(story: WatchStory) -> str:
    return f"watcher {story.watcher} ({story.watched}, {story.first} to {story.next})"
