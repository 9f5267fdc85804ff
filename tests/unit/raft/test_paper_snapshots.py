"""Log compaction: section 7 and figure 13 of the paper."""

from __future__ import annotations

from kvraft.raft.configuration import Configuration
from kvraft.raft.events import Compacted, Received, SnapshotReported, Unreachable
from kvraft.raft.messages import AppendEntries, InstallSnapshot
from kvraft.raft.progress import ProgressMode
from kvraft.raft.ready import Role
from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, NodeId, Term
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    entry,
    heartbeat,
    heartbeat_response,
    install,
    refused,
)


def with_snapshot(cluster: Cluster, index: int, term: int) -> None:
    """A snapshot of entries 1..index, all of that term, waits beside the state of whoever gets it."""
    cluster.snapshots[Index(index), Term(term)] = entries(1, *[term] * index)


def lagging() -> Cluster:
    """Node 1 leads with a log that begins after entry 5; node 3 has only entry 1."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.isolate(3)
    for _ in range(4):
        cluster.propose(1)
    cluster.deliver_all()
    cluster.flush_and_compact(1)
    cluster.heal()
    assert cluster[1].raft.first_log_index == 6
    return cluster


# --- the leader ---------------------------------------------------------------------------


def test_a_snapshot_is_sent_where_the_log_no_longer_reaches() -> None:
    """7: "This happens when the leader has already discarded the next log entry that it needs to send
    to a follower"."""
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    (sent,) = [message for message in cluster.network if isinstance(message, InstallSnapshot)]
    assert (sent.target, sent.snapshot.index, sent.snapshot.term) == (3, 5, 1)
    assert sent.snapshot.configuration == cluster.configuration
    assert cluster[1].progress(3).mode is ProgressMode.SNAPSHOT


def test_replication_goes_on_after_the_snapshot() -> None:
    """7: the follower then holds the state, and the log from there on."""
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    cluster.propose(1, b"after")
    cluster.deliver_all()
    cluster.pass_ms(200)
    assert cluster[3].state == cluster[1].state
    assert cluster[3].raft.first_log_index == 6
    assert cluster[1].progress(3).mode is ProgressMode.REPLICATE


def test_nothing_is_sent_while_a_snapshot_is_under_way() -> None:
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    cluster.take_sent()
    cluster.propose(1)
    cluster.receive(heartbeat_response(3, term=1, round=1))
    assert [sent.target for sent in cluster.take_sent() if not isinstance(sent, AppendEntries)] == []
    assert cluster[1].progress(3).mode is ProgressMode.SNAPSHOT


def test_the_log_that_follows_a_snapshot_under_way_is_kept() -> None:
    """The receiver will need it next; otherwise it would need snapshots for ever."""
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    for _ in range(3):
        cluster.propose(1)
    cluster.cut((1, 3))
    cluster.network = [sent for sent in cluster.network if sent.target != 3]
    cluster.deliver_all()
    assert cluster[1].raft.applied_index == 8
    assert cluster[1].raft.compactable_index == 5
    cluster.step(1, SnapshotReported(target=NodeId(3), succeeded=True))
    assert cluster[1].raft.compactable_index == 8


def test_a_failed_transfer_is_tried_again_after_a_pause() -> None:
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    cluster.take_sent()
    cluster.step(1, SnapshotReported(target=NodeId(3), succeeded=False))
    cluster.propose(1)
    cluster.deliver_all()
    cluster.pass_ms(999)
    assert cluster[3].raft.applied_index == 1
    cluster.pass_ms(1)
    assert cluster[3].state == cluster[1].state, "as it is now, not as it was then"


def test_no_snapshot_is_sent_to_one_that_does_not_answer() -> None:
    """A transfer to a dead node is wasted."""
    cluster = lagging()
    cluster.crash(3)
    cluster.pass_ms(5_000)
    cluster.step(1, Unreachable(peer=NodeId(3)))
    assert cluster.snapshots == {}
    assert cluster[1].progress(3).mode is ProgressMode.PROBE
    cluster.restart(3)
    cluster.pass_ms(1_500)
    assert cluster[3].state == cluster[1].state


def test_the_snapshot_of_a_window_that_was_lost_is_of_the_applied_state() -> None:
    """The answer to a heartbeat finds what was in flight lost and compacted. The snapshot that is
    offered then is of the state after everything that is applied in the same turn."""
    cluster = Cluster(3, settings=Settings(heartbeat_interval_ms=100, inflight_messages_max=1))
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.cut((1, 3))
    for _ in range(3):
        cluster.propose(1)
    cluster.deliver_all()
    cluster.flush_and_compact(1)
    cluster.propose(1)
    node = cluster[1]
    assert (node.progress(3).mode, node.progress(3).next_index) == (ProgressMode.REPLICATE, 3)
    assert node.raft.first_log_index == 5
    node.clock_ms += 100
    cluster.step(1, Received(heartbeat_response(3, term=1, round=1)), Received(accepted(2, term=1, match=5)))
    (sent,) = [message for message in cluster.network if isinstance(message, InstallSnapshot)]
    assert sent.snapshot.index == node.raft.applied_index == 5


def test_an_answer_from_before_the_snapshot_does_not_bring_another() -> None:
    """A late acceptance of early entries arrives while the follower is probed after its snapshot: it
    must not lead back before the log's beginning, and to one more transfer."""
    cluster = lagging()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    cluster.take_sent()
    cluster.step(1, SnapshotReported(target=NodeId(3), succeeded=True))
    assert cluster[1].progress(3).mode is ProgressMode.PROBE
    cluster.receive(accepted(3, term=1, match=1))
    assert not any(isinstance(sent, InstallSnapshot) for sent in cluster.take_sent())
    cluster.receive(accepted(3, term=1, match=5))
    assert cluster[1].progress(3).mode is ProgressMode.REPLICATE


# --- the receiver -------------------------------------------------------------------------


def test_install_1_an_old_term_is_refused() -> None:
    """Figure 13, 1. "Reply immediately if term < currentTerm"."""
    cluster = Cluster(3, terms={2: 5})
    with_snapshot(cluster, 4, 1)
    cluster.receive(install(2, 4, 1, term=4, configuration=cluster.configuration))
    assert cluster[2].raft.commit_index == 0
    assert cluster[2].raft.leader_id is None


def test_install_5_an_older_snapshot_changes_nothing() -> None:
    """Figure 13, 5. and section 7: what is committed here already covers it."""
    cluster = Cluster(3)
    cluster.receive(append(2, *entries(1, 1, 1, 1), term=1, commit=3))
    cluster.take_sent()
    cluster.receive(install(2, 2, 1, term=1, configuration=cluster.configuration))
    assert cluster[2].log_terms == [1, 1, 1]
    assert cluster.take_sent() == [accepted(2, term=1, match=3)]


def test_install_6_a_matching_entry_keeps_what_follows_it() -> None:
    """Figure 13, 6. "If existing log entry has same index and term as snapshot's last included entry,
    retain log entries following it and reply"."""
    cluster = Cluster(3, logs={2: [1, 1, 1, 1]})
    cluster.receive(install(2, 2, 1, term=1, configuration=cluster.configuration))
    assert cluster[2].log_terms == [1, 1, 1, 1]
    assert (cluster[2].raft.commit_index, cluster[2].raft.applied_index) == (2, 2)
    assert cluster[2].core.installing is None


def test_install_7_a_conflicting_log_is_discarded() -> None:
    """Figure 13, 7. "Discard the entire log"."""
    cluster = Cluster(3, logs={2: [1, 1, 1, 1]})
    with_snapshot(cluster, 2, 3)
    cluster.receive(install(2, 2, 3, term=3, configuration=cluster.configuration))
    assert cluster[2].log_terms == []
    assert (cluster[2].raft.first_log_index, cluster[2].raft.last_log_index) == (3, 2)
    assert cluster[2].disk.log == []


def test_install_8_the_state_and_configuration_are_the_snapshots() -> None:
    """Figure 13, 8. "Reset state machine using snapshot contents (and load snapshot's cluster
    configuration)"."""
    cluster = Cluster(3)
    with_snapshot(cluster, 4, 1)
    wider = Configuration((NodeId(1), NodeId(2), NodeId(3)), (NodeId(4),))
    cluster.receive(install(2, 4, 1, term=1, configuration=wider))
    assert cluster[2].state == list(entries(1, 1, 1, 1, 1))
    assert cluster[2].raft.configuration == wider
    assert cluster.take_sent() == [accepted(2, term=1, match=4)]
    cluster.receive(append(2, entry(5, 1), term=1, prev=(4, 1), commit=5))
    assert len(cluster[2].state) == 5


def test_the_answer_waits_for_the_installation() -> None:
    """ "Updated on stable storage before responding to RPCs" holds for a state too, and nothing is
    applied before."""
    cluster = Cluster(3, writes_at_once=False)
    with_snapshot(cluster, 4, 1)
    cluster.receive(install(2, 4, 1, term=1, configuration=cluster.configuration))
    cluster.receive(append(2, entry(5, 1), term=1, prev=(4, 1), commit=5))
    assert cluster.take_sent() == []
    assert cluster[2].state == []
    assert cluster[2].raft.commit_index == 5
    cluster.complete_write(2)
    assert cluster.take_sent() == [accepted(2, term=1, match=4)]
    cluster.complete_write(2)
    assert cluster.take_sent() == [accepted(2, term=1, match=5)]
    assert len(cluster[2].state) == 5


def test_a_crash_leaves_the_old_state_or_the_new_one() -> None:
    """A node that dies while it installs starts from one or the other, never from a mixture."""
    for survives in (False, True):
        cluster = Cluster(3, logs={2: [1, 1]}, writes_at_once=False)
        with_snapshot(cluster, 4, 3)
        cluster.receive(install(2, 4, 3, term=3, configuration=cluster.configuration))
        cluster.crash(2, write_survives=survives)
        cluster.restart(2)
        node = cluster[2]
        assert node.raft.applied_index == (4 if survives else 0)
        assert node.log_terms == ([] if survives else [1, 1])
        assert node.raft.term == (3 if survives else 1)


# --- races --------------------------------------------------------------------------------


def test_a_newer_snapshot_overtakes_one_being_installed() -> None:
    """The first one completes when the second is already in force: nothing is applied in between."""
    cluster = Cluster(3, writes_at_once=False)
    with_snapshot(cluster, 4, 1)
    with_snapshot(cluster, 9, 1)
    cluster.receive(install(2, 4, 1, term=1, configuration=cluster.configuration))
    cluster.receive(install(2, 9, 1, term=1, configuration=cluster.configuration))
    cluster.complete_write(2)
    assert (cluster[2].raft.applied_index, cluster[2].state) == (0, [])
    cluster.complete_write(2)
    assert (cluster[2].raft.applied_index, len(cluster[2].state)) == (9, 9)


def test_an_older_snapshot_during_an_installation_is_covered_already() -> None:
    cluster = Cluster(3, writes_at_once=False)
    with_snapshot(cluster, 9, 1)
    cluster.receive(install(2, 9, 1, term=1, configuration=cluster.configuration))
    cluster.receive(install(2, 4, 1, term=1, configuration=cluster.configuration))
    cluster.complete_writes(2)
    assert cluster[2].raft.applied_index == 9


def test_old_entries_arrive_during_an_installation() -> None:
    """They are committed, so they match; nothing is appended before the log's new beginning."""
    cluster = Cluster(3, writes_at_once=False)
    with_snapshot(cluster, 9, 1)
    cluster.receive(install(2, 9, 1, term=1, configuration=cluster.configuration))
    cluster.receive(append(2, *entries(3, 1, 1), term=1, prev=(2, 1), commit=4))
    cluster.receive(append(2, *entries(8, 1, 1, 1), term=1, prev=(7, 1), commit=4))
    assert cluster[2].log_terms == [1]
    cluster.complete_writes(2)
    assert cluster[2].raft.first_log_index == 10
    assert cluster.take_sent()[-1] == accepted(2, term=1, match=10)


def test_a_compaction_that_ends_after_an_installation_changes_nothing() -> None:
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, 1, 1), term=1, commit=2))
    cluster.complete_writes(2)
    with_snapshot(cluster, 9, 1)
    cluster.receive(install(2, 9, 1, term=1, configuration=cluster.configuration))
    cluster.step(2, Compacted(index=Index(2)))
    assert cluster[2].raft.first_log_index == 10
    cluster.complete_writes(2)
    assert cluster[2].raft.applied_index == 9


def test_a_write_of_the_old_log_completes_during_an_installation() -> None:
    """It vouches for entries that are no more."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, *[1] * 12), term=1))
    with_snapshot(cluster, 9, 3)
    cluster.receive(install(2, 9, 3, term=3, configuration=cluster.configuration))
    cluster.complete_write(2)
    assert cluster[2].core.log.persisted_index == 9
    assert cluster[2].raft.applied_index == 0
    cluster.complete_write(2)
    assert cluster[2].raft.applied_index == 9


def test_a_compaction_under_a_probe_leads_to_a_snapshot() -> None:
    """The leader compacts while it still looks for where the logs meet."""
    cluster = Cluster(3, logs={1: [1] * 5, 2: [1] * 5})
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=2, match=6))
    cluster.receive(heartbeat_response(3, term=2, round=0))
    cluster.take_sent()
    cluster.flush_and_compact(1)
    cluster.receive(refused(3, term=2, rejected=5, hint=(0, 0)))
    (sent,) = [message for message in cluster.take_sent() if isinstance(message, InstallSnapshot)]
    assert sent.snapshot.index == 6
    assert leader.raft.role is Role.LEADER


def test_a_follower_that_meets_the_base_needs_no_snapshot() -> None:
    """The term of the entry before the log is remembered, so a log that ends there can be continued."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.flush_and_compact(1)
    cluster.isolate(3)
    cluster.propose(1)
    cluster.deliver_all()
    cluster.heal()
    cluster.step(1, Unreachable(peer=NodeId(3)))
    assert cluster[1].raft.first_log_index == 2
    assert not any(isinstance(sent, InstallSnapshot) for sent in cluster.network)
    cluster.deliver_all()
    assert cluster[3].raft.last_log_index == 2


def test_reports_of_others_or_of_no_transfer_change_nothing() -> None:
    cluster = lagging()
    cluster.step(1, SnapshotReported(target=NodeId(2), succeeded=False))
    cluster.step(2, SnapshotReported(target=NodeId(1), succeeded=True))
    assert cluster[1].progress(2).mode is ProgressMode.REPLICATE
    cluster.receive(heartbeat(2, term=1, commit=5))
    assert cluster[2].raft.commit_index == 5
