"""What must hold after every step, for tests and simulations: the laws of figure 3, and those
that this implementation adds.

    check_state(raft)              one node, one moment
    TransitionChecker(raft)        one node, from step to step
    ClusterChecker()               all nodes, over the whole run

Nothing here runs in a server. A broken law is an AssertionError that names the node.
"""

from __future__ import annotations

from kvraft.raft.log import RaftLog
from kvraft.raft.progress import Progress, ProgressMode
from kvraft.raft.raft import Raft
from kvraft.raft.ready import Ready, Role
from kvraft.raft.roles import Candidate, Follower, Leader, PreCandidate
from kvraft.raft.settings import Settings
from kvraft.raft.state import State
from kvraft.raft.types import Entry, Index, NodeId, Standing, Term

# --- one node, one moment -----------------------------------------------------------------


def check_state(raft: Raft) -> None:
    """Raises AssertionError if the node's state contradicts itself."""
    state = raft._state
    _check_indexes(state)
    _check_log(state.log)
    _check_hard_state(state)
    match state.role:
        case Leader() as leader:
            _check_leader(state, leader)
        case Candidate() as role:
            assert state.voted_for == state.node_id, _at(state, "a candidate votes for itself")
            assert not state.configuration.has_quorum(role.granted), _at(state, "a winner leads")
        case PreCandidate() as role:
            assert not state.configuration.has_quorum(role.granted), _at(state, "a pre-vote won is used")
        case Follower(leader=leader):
            assert leader is None or leader in state.peers, _at(state, f"follows {leader}")
    if not isinstance(state.role, Follower):
        assert state.node_id in state.configuration.voters, _at(state, "only voters stand for election")
        assert state.installing is None, _at(state, "a node without its state only follows")
    if isinstance(state.role, PreCandidate | Candidate):
        assert state.standing is Standing.MEMBER, _at(state, "a node whose state diverged is no candidate")


def _at(state: State, what: str) -> str:
    return f"node {state.node_id}, term {state.term}: {what}"


def _check_indexes(state: State) -> None:
    log = state.log
    assert log.base_index <= state.commit_index <= log.last_index, _at(
        state, f"base {log.base_index} <= commit {state.commit_index} <= last {log.last_index}"
    )
    if state.installing is None:
        assert log.base_index <= state.applied_index <= state.commit_index, _at(
            state, f"base {log.base_index} <= applied {state.applied_index} <= commit {state.commit_index}"
        )
        assert state.applied_index <= log.persisted_index, _at(state, "a state is never ahead of its log")
    else:
        assert state.applied_index < state.installing.index, _at(state, "a snapshot brings news")
        assert state.installing.index == log.base_index, _at(state, "the log begins after the snapshot")


def _check_log(log: RaftLog) -> None:
    assert log.base_index <= log.persisted_index <= log._handed_index <= log.last_index, (
        f"base {log.base_index} <= persisted {log.persisted_index} <= handed {log._handed_index} "
        f"<= last {log.last_index}"
    )
    starts, terms = log._run_starts, log._run_terms
    assert (starts[0], terms[0]) == (log.base_index, log.base_term), "the first run is the base"
    assert starts == sorted(set(starts)), f"runs of terms begin one after the other: {starts}"
    assert starts[-1] <= log.last_index, f"no run begins after the log: {starts}"
    assert terms == sorted(terms), f"terms never fall along a log: {terms}"
    assert log.base_index < log._cache_first <= log.last_index + 1, "the cache is a tail of the log"
    assert len(log._cache) == log.last_index + 1 - log._cache_first, "the cache has no holes"
    assert log._cache_bytes == sum(entry.size_bytes for entry in log._cache.values()), "cached bytes"


def _check_hard_state(state: State) -> None:
    persisted, handed = state.persisted_hard_state, state.handed_hard_state
    assert persisted.term <= handed.term <= state.term, _at(state, "terms reach the disk in order")
    for earlier in (persisted, handed):
        if earlier.term == state.term and earlier.voted_for is not None:
            assert earlier.voted_for == state.voted_for, _at(state, "one vote per term")
    assert state.log.last_term <= state.term, _at(state, "no entry is of a term yet to come")


def _check_leader(state: State, leader: Leader) -> None:
    log = state.log
    # Its messages leave at once, so that what they say about it must be durable already.
    durable = state.persisted_hard_state
    assert (durable.term, durable.voted_for) == (state.term, state.voted_for), _at(
        state, "a leader's own vote is durable"
    )
    assert state.standing is Standing.MEMBER or leader.transfer is not None, _at(
        state, "a leader whose state diverged hands over"
    )
    assert state.voted_for == state.node_id, _at(state, "a leader voted for itself")
    assert log.last_term == state.term, _at(state, "a leader's log ends with its own term")
    assert leader.term_start <= log.last_index, _at(state, "the term begins with its no-op")
    assert set(leader.progress) == set(state.peers), _at(state, "a leader knows every other member")
    for peer, progress in leader.progress.items():
        _check_progress(state, leader, progress, _at(state, f"progress of {peer}"))
    rounds = [pending.round for pending in leader.pending_rounds]
    assert rounds == sorted(set(rounds)), _at(state, f"rounds rise: {rounds}")
    for pending in leader.pending_rounds:
        assert pending.round <= leader.round, _at(state, "a pending round was sent")
        assert leader.term_start <= pending.index <= state.commit_index, _at(state, "a read index is known")
    if leader.transfer is not None:
        assert leader.transfer.target in state.peers, _at(state, "a transfer goes to another member")
        assert leader.transfer.target in state.configuration.voters, _at(state, "only voters lead")
    unapplied = range(max(leader.term_start, state.applied_index + 1), log.last_index + 1)
    assert leader.uncommitted_bytes == sum(log._cache[index].size_bytes for index in unapplied), _at(
        state, f"{leader.uncommitted_bytes} uncommitted bytes"
    )


def _check_progress(state: State, leader: Leader, progress: Progress, where: str) -> None:
    last_index = state.log.last_index
    assert progress.match_index < progress.next_index <= last_index + 1, (
        f"{where}: match {progress.match_index} < next {progress.next_index} <= last {last_index} + 1"
    )
    assert progress.commit_sent <= state.commit_index, f"{where}: was told what is not committed"
    assert progress.commit_wanted <= last_index, f"{where}: waits for what is not in the log"
    assert progress.acknowledged_round <= leader.round, f"{where}: answered a round that was not sent"
    assert (progress.mode is ProgressMode.SNAPSHOT) == (progress.snapshot_index > 0), where
    if progress.mode is not ProgressMode.REPLICATE:
        assert not progress.has_inflight, f"{where}: only a follower that replicates has a window"
    _check_window(state.settings, progress, where)


def _check_window(settings: Settings, progress: Progress, where: str) -> None:
    inflight = list(progress._inflight)
    indexes = [index for index, _ in inflight]
    sizes = [size_bytes for _, size_bytes in inflight]
    assert sum(sizes) == progress._inflight_bytes, f"{where}: bytes in flight"
    assert len(inflight) <= settings.inflight_messages_max, f"{where}: {len(inflight)} in flight"
    assert sum(sizes[:-1]) < settings.inflight_bytes_max, f"{where}: {sum(sizes)} bytes in flight"
    assert indexes == sorted(indexes), f"{where}: in flight {indexes}"
    if indexes:
        assert progress.match_index < indexes[0], f"{where}: what is answered is not in flight"
        assert indexes[-1] < progress.next_index, f"{where}: what is in flight was sent"


# --- one node, from step to step ----------------------------------------------------------


class TransitionChecker:
    """Follows one node from its start on: `check` after every step. A restarted node, which may
    forget what was not durable, gets a new one."""

    __slots__ = (
        "_applied",
        "_base",
        "_commit",
        "_last",
        "_leader",
        "_matches",
        "_raft",
        "_round",
        "_runs",
        "_term",
        "_voted_for",
    )

    def __init__(self, raft: Raft) -> None:
        self._raft = raft
        self._remember()

    def check(self) -> None:
        """Raises AssertionError if something went back that never may."""
        state = self._raft._state
        log = state.log
        assert state.term >= self._term, _at(state, f"the term fell from {self._term}")
        if state.term == self._term and self._voted_for is not None:
            assert state.voted_for == self._voted_for, _at(state, f"voted for {self._voted_for} already")
        assert state.commit_index >= self._commit, _at(state, f"commit fell from {self._commit}")
        assert state.applied_index >= self._applied, _at(state, f"applied fell from {self._applied}")
        assert log.base_index >= self._base, _at(state, f"the base fell from {self._base}")
        kept = self._last if state.role is self._leader else self._commit
        assert kept <= log.last_index, _at(state, f"entries up to {kept} may not be removed")
        before = _clip(self._runs, log.base_index, kept)
        now = _clip(_runs(log), log.base_index, kept)
        assert before == now, _at(state, f"entries up to {kept} may not change: {before} became {now}")
        if state.role is self._leader:
            self._check_leader(state, self._leader)
        self._remember()

    def _check_leader(self, state: State, leader: Leader) -> None:
        assert leader.round >= self._round, _at(state, "rounds never go back")
        for peer, match_index in self._matches.items():
            assert leader.progress[peer].match_index >= match_index, _at(state, f"match of {peer} fell")

    def _remember(self) -> None:
        state = self._raft._state
        self._term, self._voted_for = state.term, state.voted_for
        self._commit, self._applied = state.commit_index, state.applied_index
        self._base, self._last = state.log.base_index, state.log.last_index
        self._runs = _runs(state.log)
        self._leader = state.role if isinstance(state.role, Leader) else None
        self._matches: dict[NodeId, Index] = {}
        self._round = 0
        if isinstance(state.role, Leader):
            self._round = state.role.round
            self._matches = {peer: progress.match_index for peer, progress in state.role.progress.items()}


def _runs(log: RaftLog) -> list[tuple[int, int]]:
    """(first index, term) of each run of equal terms, the base's first."""
    return list(zip(log._run_starts, log._run_terms, strict=True))


def _clip(runs: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """The runs between two indexes, neighbours of the same term as one."""
    clipped: list[tuple[int, int]] = []
    for start, term in runs:
        if max(start, first) > last:
            break
        if start <= first:
            clipped = [(first, term)]
        elif clipped and clipped[-1][1] != term:
            clipped.append((start, term))
    return clipped


# --- all nodes, over the whole run --------------------------------------------------------


class ClusterChecker:
    """The five guarantees of figure 3: `observe` every node's every `Ready`, and say `restarted`
    when a node begins anew from its disk."""

    __slots__ = ("_applied", "_commit_of", "_committed", "_committed_in", "_entries", "_leaders")

    def __init__(self) -> None:
        self._leaders: dict[Term, NodeId] = {}
        self._entries: dict[tuple[Index, Term], tuple[Term, Entry]] = {}
        """Each entry that was ever written, with the term of the entry before it: if (index,
        term) decides both, then by induction it decides the whole log up to there."""
        self._committed: dict[Index, Term] = {}
        self._committed_in: dict[Term, Index] = {}
        """How far the log was first seen committed by a node in that term."""
        self._applied: dict[Index, Entry] = {}
        self._commit_of: dict[NodeId, Index] = {}

    @property
    def committed_index(self) -> Index:
        """The highest index that any node has ever known as committed."""
        return max(self._committed_in.values(), default=Index(0))

    def restarted(self, raft: Raft) -> None:
        """The node knows only of commits that its state holds."""
        self._commit_of[raft._state.node_id] = raft.commit_index

    def observe(self, raft: Raft, ready: Ready) -> None:
        """Raises AssertionError if this node and another one contradict each other."""
        self._check_log_matching(raft, ready)
        self._check_commits(raft)
        if raft.role is Role.LEADER:
            self._check_leader(raft)
        self._check_applied(raft, ready)

    def _check_leader(self, raft: Raft) -> None:
        """Election Safety: "at most one leader can be elected in a given term." Leader Completeness:
        "if a log entry is committed in a given term, then that entry will be present in the logs
        of the leaders for all higher-numbered terms." """
        state = raft._state
        if state.term in self._leaders:
            leader = self._leaders[state.term]
            assert leader == state.node_id, f"{leader} and {state.node_id} both lead in term {state.term}"
            return
        self._leaders[state.term] = state.node_id
        earlier = [index for term, index in self._committed_in.items() if term < state.term]
        if earlier:
            index = max(earlier)
            assert index <= raft.last_log_index, _at(state, f"leads without committed entry {index}")
            if index >= state.log.base_index:
                assert state.log.term(index) == self._committed[index], _at(
                    state, f"leads with another entry than the committed one at {index}"
                )

    def _check_log_matching(self, raft: Raft, ready: Ready) -> None:
        """Log Matching: "if two logs contain an entry with the same index and term, then the logs are
        identical in all entries up through the given index." """
        if not ready.entries:
            return
        state = raft._state
        previous = state.log.term(Index(ready.entries[0].index - 1))
        assert previous is not None, _at(state, f"nothing before {ready.entries[0].index}")
        for entry in ready.entries:
            known = self._entries.setdefault((entry.index, entry.term), (previous, entry))
            assert known == (previous, entry), _at(
                state, f"entry {entry.index} of term {entry.term} differs: {known} and {(previous, entry)}"
            )
            previous = entry.term

    def _check_commits(self, raft: Raft) -> None:
        state = raft._state
        known = self._commit_of.get(state.node_id, Index(0))
        if state.commit_index <= known:
            return
        for index in range(max(known + 1, state.log.base_index), state.commit_index + 1):
            term = state.log.term(Index(index))
            assert term is not None, _at(state, f"committed entry {index} is not in the log")
            committed = self._committed.setdefault(Index(index), term)
            assert committed == term, _at(
                state, f"committed entry {index} has term {term} here and {committed} elsewhere"
            )
        self._commit_of[state.node_id] = state.commit_index
        if state.commit_index > self.committed_index:
            self._committed_in[state.term] = state.commit_index

    def _check_applied(self, raft: Raft, ready: Ready) -> None:
        """State Machine Safety: "if a server has applied a log entry at a given index to its state
        machine, no other server will ever apply a different log entry for the same index." """
        for entry in ready.committed:
            known = self._applied.setdefault(entry.index, entry)
            assert known == entry, _at(raft._state, f"applied {entry}, another node applied {known}")
