"""What a leader knows of one follower, and how much it may send.

A follower is probed until it is known where its log meets the leader's, then replicated to
with a window of messages and bytes, or sent a snapshot when the log no longer reaches back far
enough. ("nextIndex[], matchIndex[]" of figure 2, and the states of dissertation 10.2.)
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, Standing


class ProgressMode(Enum):
    """How a follower is fed."""

    PROBE = "probe"
    """One AppendEntries at a time, until one is accepted."""
    REPLICATE = "replicate"
    """Pipelined within the window."""
    SNAPSHOT = "snapshot"
    """Nothing until the snapshot's transfer has ended."""


NEVER_MS = -(1 << 62)


class Progress:
    """One follower, in the eyes of the leader."""

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
        "acknowledged_round",
        "commit_sent",
        "commit_wanted",
        "follows_commits",
        "is_set_aside",
        "last_heard_ms",
        "match_index",
        "mode",
        "moved_ms",
        "next_index",
        "probe_sent",
        "snapshot_index",
        "snapshot_retry_ms",
        "standing",
    )

    def __init__(self, next_index: Index) -> None:
        self.match_index = Index(0)
        """ "index of highest log entry known to be replicated on server": durable there."""
        self.next_index = next_index
        """ "index of the next log entry to send to that server" """
        self.mode = ProgressMode.PROBE
        self.is_set_aside = False
        """It has claimed what cannot be: it does not count until a probe shows where its log meets the
        leader's."""
        self.standing = Standing.MEMBER
        """As it told last."""
        self.probe_sent = False
        self.last_heard_ms = NEVER_MS
        self.moved_ms = 0
        """When an answer last advanced the window, or the window began to fill."""
        self.acknowledged_round = 0
        """The last heartbeat round this follower answered."""
        self.commit_sent = Index(0)
        """The highest commit index this follower was told."""
        self.commit_wanted = Index(0)
        """Up to here the follower waits for commits and is told at once."""
        self.follows_commits = False
        """Whether it is told each commit at once where no entries are on their way that will tell it."""
        self.snapshot_index = Index(0)
        """While in SNAPSHOT mode: what is being sent; the log after it is kept."""
        self.snapshot_retry_ms: int | None = None
        """When to try again after a failed transfer; None while one is under way."""
        self._inflight: deque[tuple[Index, int]] = deque()
        self._inflight_bytes = 0

    @property
    def has_inflight(self) -> bool:
        return bool(self._inflight)

    def may_send(self, settings: Settings) -> bool:
        """Whether an AppendEntries may leave now."""
        match self.mode:
            case ProgressMode.PROBE:
                return not self.probe_sent
            case ProgressMode.REPLICATE:
                return (
                    len(self._inflight) < settings.inflight_messages_max
                    and self._inflight_bytes < settings.inflight_bytes_max
                )
            case ProgressMode.SNAPSHOT:
                return False

    def sent(self, last_index: Index, size_bytes: int, now_ms: int) -> None:
        """An AppendEntries that ends with `last_index` has left."""
        if self.mode is ProgressMode.PROBE:
            self.probe_sent = True
            return
        if not self._inflight:
            self.moved_ms = now_ms
        self._inflight.append((last_index, size_bytes))
        self._inflight_bytes += size_bytes
        self.next_index = Index(last_index + 1)

    def accepted(self, match_index: Index, now_ms: int) -> bool:
        """The follower is durable up to `match_index`; True if that is news. A probe is answered only by
        what reaches it: a late answer to something earlier would lead back to where it was."""
        while self._inflight and self._inflight[0][0] <= match_index:
            self.free_first_inflight()
        self.moved_ms = now_ms
        self.next_index = max(self.next_index, Index(match_index + 1))
        is_news = match_index > self.match_index
        self.match_index = max(self.match_index, match_index)
        if (self.mode is ProgressMode.PROBE and self.next_index == match_index + 1) or (
            self.mode is ProgressMode.SNAPSHOT and self.match_index >= self.snapshot_index
        ):
            self.become_replicate()
        return is_news

    def refused(self, rejected_index: Index, next_index: Index) -> None:
        """The follower does not hold the leader's entry at `rejected_index`. An answer to an older
        message than the last one tells nothing and is ignored."""
        if rejected_index <= self.match_index:
            return
        if self.mode is ProgressMode.REPLICATE:
            self.become_probe(Index(max(self.match_index + 1, min(rejected_index, next_index))))
        elif self.mode is ProgressMode.PROBE and rejected_index == self.next_index - 1:
            self.next_index = max(Index(self.match_index + 1), min(rejected_index, next_index))
            self.probe_sent = False

    def free_first_inflight(self) -> None:
        """Makes room in the window."""
        _, size_bytes = self._inflight.popleft()
        self._inflight_bytes -= size_bytes

    def set_aside(self) -> None:
        """What it says is not to be trusted: it is asked anew."""
        self.is_set_aside = True
        if self.mode is not ProgressMode.SNAPSHOT:
            self.become_probe(Index(self.match_index + 1))

    def become_probe(self, next_index: Index) -> None:
        self._clear(ProgressMode.PROBE)
        self.next_index = next_index

    def become_replicate(self) -> None:
        self._clear(ProgressMode.REPLICATE)
        self.is_set_aside = False
        self.next_index = Index(self.match_index + 1)

    def become_snapshot(self, snapshot_index: Index) -> None:
        self._clear(ProgressMode.SNAPSHOT)
        self.snapshot_index = snapshot_index

    def _clear(self, mode: ProgressMode) -> None:
        self.mode = mode
        self.probe_sent = False
        self.snapshot_index = Index(0)
        self.snapshot_retry_ms = None
        self._inflight.clear()
        self._inflight_bytes = 0
