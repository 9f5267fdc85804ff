"""Snapshots: section 7. The state itself never passes through here, only what it includes."""

from __future__ import annotations

from kvraft.raft import replication
from kvraft.raft.messages import AppendEntriesAccepted, InstallSnapshot
from kvraft.raft.progress import Progress, ProgressMode
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.roles import Leader
from kvraft.raft.state import State
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Standing


def offer(state: State, peer: NodeId, progress: Progress) -> None:
    """ "the leader must occasionally send snapshots to followers that lag behind. This happens when
    the leader has already discarded the next log entry that it needs to send" - to one that
    answers heartbeats, since a transfer to a dead one is wasted. A state that diverged is sent to nobody."""
    if (
        state.standing is not Standing.MEMBER
        or state.now_ms - progress.last_heard_ms > state.settings.election_timeout_ms
    ):
        progress.probe_sent = True  # asked again when it answers a heartbeat
        return
    progress.become_snapshot(state.applied_index)
    term = state.log.term(state.applied_index)
    assert term is not None
    state.outbox.send_snapshots.append(
        SendSnapshot(
            target=peer,
            term=state.term,
            snapshot=SnapshotMetadata(
                index=state.applied_index, term=term, configuration=state.configuration
            ),
        )
    )


def on_reported(state: State, leader: Leader, peer: NodeId, *, succeeded: bool) -> None:
    """The transfer has ended: probe after the snapshot, or try again after a pause."""
    progress = leader.progress[peer]
    if progress.mode is not ProgressMode.SNAPSHOT:
        return
    if succeeded:
        progress.become_probe(Index(max(progress.match_index, progress.snapshot_index) + 1))
    else:
        progress.snapshot_retry_ms = state.now_ms + state.settings.snapshot_retry_ms


def retry_due(state: State, leader: Leader) -> None:
    """Begins failed transfers anew, from the state as it is now."""
    for progress in leader.progress.values():
        if progress.snapshot_retry_ms is not None and progress.snapshot_retry_ms <= state.now_ms:
            progress.become_probe(Index(progress.match_index + 1))


def compactable_index(state: State) -> Index:
    """The log up to here may go: applied, and not what the receiver of a snapshot under way will
    need next."""
    index = state.applied_index
    if isinstance(state.role, Leader):
        for progress in state.role.progress.values():
            if progress.mode is ProgressMode.SNAPSHOT:
                index = min(index, progress.snapshot_index)
    return index


def on_install_snapshot(state: State, message: InstallSnapshot) -> None:
    """ "Receiver implementation" of InstallSnapshot, from rule 6 on: the chunks have arrived."""
    replication.recognise_leader(state, message.sender)
    snapshot = message.snapshot
    if snapshot.index <= state.commit_index:
        pass  # old: "instead, the follower's state already covers it"
    elif state.log.term(snapshot.index) == snapshot.term:
        # 6. "If existing log entry has same index and term as snapshot's last included entry,
        #    retain log entries following it and reply": the log itself leads to that state.
        replication.commit_to(state, snapshot.index)
    else:
        # 7., 8. "Discard the entire log. Reset state machine using snapshot contents"
        state.log.reset(snapshot.index, snapshot.term)
        state.commit_index = snapshot.index
        state.configuration = snapshot.configuration
        state.installing = snapshot
        state.installing_is_new = True
    state.send_after_persist(
        AppendEntriesAccepted(
            sender=state.node_id, target=message.sender, term=state.term, match_index=state.commit_index
        )
    )


def on_installed(state: State, index: Index) -> None:
    """The snapshot is the state; entries after it may be applied. If a newer one has come
    meanwhile, that one is waited for."""
    assert state.installing is not None, index
    if state.installing.index == index:
        state.installing = None
        state.applied_index = index
        state.standing = Standing.MEMBER
