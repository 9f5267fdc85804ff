"""Log replication: section 5.3, and commitment by 5.4.2."""

from __future__ import annotations

from kvraft.raft import snapshotting, transfer
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
)
from kvraft.raft.progress import Progress, ProgressMode
from kvraft.raft.roles import Follower, Leader
from kvraft.raft.state import State
from kvraft.raft.types import Index, NodeId, Term

# --- the follower -------------------------------------------------------------------------


def recognise_leader(state: State, leader: NodeId) -> None:
    """A message of the current term's leader arrived: follow it, and stay quiet for a while.

    "If the leader's term (included in its RPC) is at least as large as the candidate's current
    term, then the candidate recognizes the leader as legitimate and returns to follower state."
    """
    match state.role:
        case Follower(leader=known) as follower if known == leader:
            follower.last_contact_ms = state.now_ms
            state.reset_election_timer()
        case _:
            state.become_follower(state.term, leader)


def on_append_entries(state: State, message: AppendEntries) -> None:
    """ "Receiver implementation" of AppendEntries, after rule 1 (older terms)."""
    recognise_leader(state, message.sender)
    log = state.log
    # 2. "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
    #    prevLogTerm (5.3)" - what is committed matches for certain, even where it is compacted.
    matches = log.term(message.prev_log_index) == message.prev_log_term
    if not matches and message.prev_log_index >= state.commit_index:
        refuse(state, message, *log.find_hint(message.prev_log_index, message.prev_log_term))
        return
    # 3. "If an existing entry conflicts with a new one (same index but different terms), delete
    #    the existing entry and all that follow it (5.3)" - and only then.
    # 4. "Append any new entries not already in the log"
    last_new = Index(message.prev_log_index + len(message.entries))
    for position, entry in enumerate(message.entries):
        if entry.index > log.base_index and log.term(entry.index) != entry.term:
            assert entry.index > state.commit_index, (entry.index, state.commit_index)  # `claims`
            if entry.index <= log.last_index:
                log.truncate(entry.index)
            log.append(message.entries[position:])
            break
    # 5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)"
    commit_to(state, min(message.leader_commit, last_new))
    _accept(state, message.sender, max(last_new, state.commit_index))


def on_heartbeat(state: State, message: Heartbeat) -> None:
    """The leader is alive. It never names a commit index beyond what it knows this log to hold."""
    recognise_leader(state, message.sender)
    commit_to(state, message.commit_index)
    answer_heartbeat(state, message)


def answer_heartbeat(state: State, message: Heartbeat) -> None:
    """The answer promises nothing but the term, so it waits for the disk only if the term does.

    Rounds are counted within a term: the answer to an old term's heartbeat confirms none, since
    its sender may lead the new term by now, with rounds of its own.
    """
    response = HeartbeatResponse(
        sender=state.node_id,
        target=message.sender,
        term=state.term,
        round=message.round if message.term == state.term else 0,
        standing=state.standing,
    )
    if state.persisted_hard_state.term == state.term:
        state.send(response)
    else:
        state.send_after_persist(response)


def commit_to(state: State, index: Index) -> None:
    """The commit index only rises."""
    if index > state.commit_index:
        assert index <= state.log.last_index, (index, state.log.last_index)
        state.commit_index = index


def _accept(state: State, leader: NodeId, match_index: Index) -> None:
    state.send_after_persist(
        AppendEntriesAccepted(sender=state.node_id, target=leader, term=state.term, match_index=match_index)
    )


def refuse(state: State, message: AppendEntries, hint_index: Index, hint_term: Term) -> None:
    """ "Reply false", with the term and a hint where to look next."""
    state.send_after_persist(
        AppendEntriesRefused(
            sender=state.node_id,
            target=message.sender,
            term=state.term,
            rejected_index=message.prev_log_index,
            hint_index=hint_index,
            hint_term=hint_term,
        )
    )


# --- the leader ---------------------------------------------------------------------------


def replicate(state: State, leader: Leader) -> None:
    """ "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
    starting at nextIndex", as far as its window lets."""
    for peer, progress in leader.progress.items():
        while progress.may_send(state.settings) and (
            progress.next_index <= state.log.last_index or progress.mode is ProgressMode.PROBE
        ):
            if not _send_append(state, peer, progress):
                break
        waits = progress.commit_wanted > progress.commit_sent or (
            progress.follows_commits and not progress.has_inflight
        )
        if waits and min(state.commit_index, progress.match_index) > progress.commit_sent:
            state.send_heartbeat(leader, peer, progress)


def _send_append(state: State, peer: NodeId, progress: Progress) -> bool:
    prev_index = Index(progress.next_index - 1)
    prev_term = state.log.term(prev_index)
    if prev_term is None:
        snapshotting.offer(state, peer, progress)
        return False
    entries = tuple(
        state.log.slice(progress.next_index, state.log.last_index, state.settings.append_bytes_max)
    )
    last_index = Index(prev_index + len(entries))
    state.send(
        AppendEntries(
            sender=state.node_id,
            target=peer,
            term=state.term,
            prev_log_index=prev_index,
            prev_log_term=prev_term,
            entries=entries,
            leader_commit=state.commit_index,
        )
    )
    progress.commit_sent = max(progress.commit_sent, min(state.commit_index, last_index))
    progress.sent(last_index, sum(entry.size_bytes for entry in entries), state.now_ms)
    return True


def on_accepted(state: State, leader: Leader, message: AppendEntriesAccepted) -> None:
    """ "If successful: update nextIndex and matchIndex for follower (5.3)"."""
    progress = leader.progress[message.sender]
    progress.last_heard_ms = state.now_ms
    if progress.accepted(message.match_index, state.now_ms):
        advance_commit(state, leader)
        transfer.continue_transfer(state, leader)


def on_refused(state: State, leader: Leader, message: AppendEntriesRefused) -> None:
    """ "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (5.3)".

    By whole terms: the follower named its last entry that can match; the leader goes back to its
    own last entry of at most that term.
    """
    progress = leader.progress[message.sender]
    progress.last_heard_ms = state.now_ms
    match_index, _ = state.log.find_hint(message.hint_index, message.hint_term)
    progress.refused(message.rejected_index, Index(match_index + 1))


def on_heartbeat_response(state: State, leader: Leader, message: HeartbeatResponse) -> None:
    """The follower is reachable: probe again, and if what is in flight has not moved for a while,
    some of it was lost, so make room for a message whose refusal will tell where to resume."""
    progress = leader.progress[message.sender]
    progress.last_heard_ms = state.now_ms
    progress.follows_commits = message.follows_commits
    progress.standing = message.standing
    progress.acknowledged_round = max(progress.acknowledged_round, min(message.round, leader.round))
    progress.probe_sent = False
    idle_ms = state.now_ms - progress.moved_ms
    if (
        progress.mode is ProgressMode.REPLICATE
        and progress.has_inflight
        and idle_ms >= state.settings.heartbeat_interval_ms
    ):
        while not progress.may_send(state.settings):
            progress.free_first_inflight()
        progress.moved_ms = state.now_ms
        # What is compacted already becomes a snapshot, which `replicate` offers after the next apply.
        if progress.next_index > state.log.base_index:
            _send_append(state, message.sender, progress)


def on_unreachable(leader: Leader, peer: NodeId) -> None:
    """What was in flight may be lost: find out where to resume."""
    progress = leader.progress.get(peer)
    if progress is not None and progress.mode is ProgressMode.REPLICATE:
        progress.become_probe(Index(progress.match_index + 1))


def advance_commit(state: State, leader: Leader) -> None:
    """ "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    log[N].term == currentTerm: set commitIndex = N (5.3, 5.4)". The leader's own match index is
    what its disk has confirmed (dissertation 10.2.1)."""
    match_indexes = {
        peer: progress.match_index for peer, progress in leader.progress.items() if not progress.is_set_aside
    }
    match_indexes[state.node_id] = state.log.persisted_index
    index = Index(state.configuration.quorum_value(match_indexes))
    if index > state.commit_index and state.log.term(index) == state.term:
        state.commit_index = index


def check_quorum(state: State, leader: Leader) -> None:
    """ "A leader steps down if an election timeout elapses without a successful round of heartbeats
    to a majority of its cluster" (dissertation 6.2). One whose own disk has stood still that long
    hands over: it could go on leading, but not answer anybody."""
    timeout_ms = state.settings.election_timeout_ms
    leader.quorum_check_due_ms = state.now_ms + timeout_ms
    heard = {
        peer
        for peer, progress in leader.progress.items()
        if state.now_ms - progress.last_heard_ms <= timeout_ms
    }
    if not state.configuration.has_quorum(heard | {state.node_id}):
        state.become_follower(state.term, None)
    elif leader.stalled_since_ms is not None and state.now_ms - leader.stalled_since_ms > timeout_ms:
        transfer.begin(state, leader, None)
