"""The numbers of the loop. Times in milliseconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.storage.interfaces import HistoryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Every limit of the loop."""

    admission_timeout_ms: int = 2_000
    """How long a request waits to be given to a leader."""
    leaderless_timeout_ms: int = 600
    """How long requests outlive the knowledge of a leader."""
    outcome_timeout_ms: int = 10_000
    """How long a proposed write may take before its caller is told that its outcome is unknown."""
    read_retry_ms: int = 500
    """After this a follower asks the leader for a read index again."""
    revision_timeout_ms: int = 10_000
    """How long a read waits for its `min_revision`, or for the index that the leader named."""
    waiting_commands_max: int = 100_000
    waiting_bytes_max: int = 64 << 20
    """Of commands accepted from clients and not yet answered."""
    batch_bytes_max: int = 1 << 20
    """Of the commands of one Raft entry; a single larger command still goes, alone."""
    heavy_work_max: int = 50_000
    """Of the commands that are much work, as this node estimates it, and are under way for its clients, some
    150 ms; a single larger one still goes, alone."""
    turn_work_max: int = 3_000
    """Of what one turn applies (`kvraft.machine.work`), some 10 ms; the last command may exceed it."""
    flush_interval_ms: int = 2_000
    flush_bytes: int = 16 << 20
    """The memory table is flushed when it is this old or this large."""
    memory_bytes_max: int = 128 << 20
    """Past this committed entries wait for the flush."""
    erasure_delay_ms: int = 1_800_000
    """How long after the erasure of a user the files are made anew; what is erased meanwhile shares it."""
    log_retained_bytes: int = 256 << 20
    """Log kept beyond what recovery needs, for followers that were away."""
    history_revisions_max: int = 100_000
    history_bytes_max: int = 256 << 20
    history_age_ms_max: int = 3_600_000
    """Changes kept for watches that begin in the past, until one of the three is reached."""
    digest_interval_ms: int = 1_000
    """How often the leader asks all members for the digest of their state, at one index."""
    digests_kept: int = 16_384
    """Applied entries whose digest a node remembers for comparing."""

    @property
    def history_limits(self) -> HistoryLimits:
        """The three in one."""
        return HistoryLimits(
            revisions_max=self.history_revisions_max,
            bytes_max=self.history_bytes_max,
            age_ms_max=self.history_age_ms_max,
        )
