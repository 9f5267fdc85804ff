"""The numbers of the algorithm. Times in milliseconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every limit of the core. The defaults fit nodes in one region."""

    election_timeout_ms: int = 600
    """T: a follower campaigns after T to 2T without a leader (5.2); a leader that hears no
    majority for T steps down (dissertation 6.2)."""
    heartbeat_interval_ms: int = 150
    append_bytes_max: int = 1 << 20
    """Of the entries of one AppendEntries; a single larger entry still goes, alone."""
    inflight_messages_max: int = 64
    inflight_bytes_max: int = 8 << 20
    """The window of one follower: AppendEntries sent and not yet answered."""
    uncommitted_bytes_max: int = 64 << 20
    """Proposals past this are refused."""
    committed_bytes_max: int = 4 << 20
    """Of the entries one `Ready` hands over for applying."""
    pending_reads_max: int = 100_000
    snapshot_retry_ms: int = 1_000
    """The pause after a snapshot transfer that failed."""
    log_cache_bytes: int = 32 << 20
    """Recent entries kept in memory for replication."""

    def __post_init__(self) -> None:
        if not 0 < 2 * self.heartbeat_interval_ms <= self.election_timeout_ms:
            raise ValueError("the election timeout must be at least two heartbeat intervals")
