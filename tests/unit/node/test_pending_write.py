"""Several turns' debts become one write that is what they would have been one after the other."""

from __future__ import annotations

from kvraft.node.pending_write import PendingWrite
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import AppendEntriesAccepted, Message, RequestVoteResponse
from kvraft.raft.ready import Ready
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.interfaces import InstalledSnapshot


def entry(index: int, term: int) -> Entry:
    return Entry(Index(index), Term(term), EntryKind.COMMAND, b"")


def ready(*entries: Entry, hard_state: HardState | None = None, messages: tuple[Message, ...] = ()) -> Ready:
    return Ready(
        role_change=None,
        hard_state=hard_state,
        entries=entries,
        install_snapshot=None,
        messages=(),
        messages_after_persist=messages,
        committed=(),
        proposed=(),
        refused=(),
        confirmed_reads=(),
        failed_reads=(),
        send_snapshots=(),
        wrong_claims=(),
    )


def accepted(index: int, term: int = 1) -> AppendEntriesAccepted:
    return AppendEntriesAccepted(
        sender=NodeId(2), target=NodeId(1), term=Term(term), match_index=Index(index)
    )


VOTE = RequestVoteResponse(sender=NodeId(2), target=NodeId(3), term=Term(2), granted=True)
METADATA = SnapshotMetadata(index=Index(90), term=Term(2), configuration=Configuration((NodeId(1),)))
SNAPSHOT = InstalledSnapshot(metadata=METADATA, generation=2)


def test_entries_follow_each_other_and_the_last_hard_state_counts() -> None:
    write = PendingWrite()
    write.add(
        ready(entry(1, 1), entry(2, 1), hard_state=HardState(Term(1), NodeId(1)), messages=(accepted(2),))
    )
    write.add(ready(entry(3, 1), hard_state=HardState(Term(2), None), messages=(accepted(3),)))
    assert write.entries == [entry(1, 1), entry(2, 1), entry(3, 1)]
    assert write.hard_state == HardState(Term(2), None)
    assert write.messages == [accepted(2), accepted(3)]


def test_overwritten_entries_are_not_written() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1), entry(6, 1), entry(7, 1)))
    write.add(ready(entry(6, 2)))
    assert write.entries == [entry(5, 1), entry(6, 2)]
    write.add(ready(entry(3, 3), entry(4, 3)))
    assert write.entries == [entry(3, 3), entry(4, 3)]


def test_a_snapshot_drops_the_entries_before_it() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1)))
    write.install(SNAPSHOT)
    write.add(ready(entry(91, 2)))
    assert write.entries == [entry(91, 2)]
    assert write.snapshot == SNAPSHOT


def test_what_was_promised_of_overwritten_entries_is_not_said() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1), entry(6, 1), messages=(accepted(5), accepted(6))))
    write.add(ready(entry(7, 1), messages=(accepted(7), VOTE)))
    write.add(ready(entry(6, 3), messages=(accepted(6, 3),)))
    assert write.messages == [accepted(5), VOTE, accepted(6, 3)]


def test_a_promise_that_is_overwritten_in_the_same_turn_is_not_said_either() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1), entry(6, 3), messages=(accepted(7), accepted(6, 3))))
    assert write.messages == [accepted(6, 3)]


def test_promises_of_one_leader_stay() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1), messages=(accepted(5),)))
    write.add(ready(entry(6, 1), messages=(accepted(6), accepted(5))))
    assert write.messages == [accepted(5), accepted(6), accepted(5)]


def test_a_snapshot_drops_what_was_promised_of_the_entries_before_it() -> None:
    write = PendingWrite()
    write.add(ready(entry(5, 1), messages=(accepted(5), VOTE)))
    write.install(SNAPSHOT)
    assert write.messages == [VOTE]


def test_the_vote_does_not_need_the_snapshot() -> None:
    write = PendingWrite()
    write.install(SNAPSHOT)
    write.add(ready(entry(91, 2), hard_state=HardState(Term(2), NodeId(3)), messages=(accepted(90), VOTE)))
    vote = write.take_hard_state()
    assert (vote.snapshot, vote.hard_state, vote.entries, vote.messages) == (
        None,
        HardState(Term(2), NodeId(3)),
        [],
        [VOTE],
    )
    assert (write.snapshot, write.hard_state, write.entries, write.messages) == (
        SNAPSHOT,
        None,
        [entry(91, 2)],
        [accepted(90)],
    )
    assert write.take_hard_state().is_durable_already


def test_messages_alone_need_no_write() -> None:
    write = PendingWrite()
    write.add(ready(messages=(accepted(1),)))
    assert write.is_durable_already
    write.add(ready(hard_state=HardState(Term(1), None)))
    assert not write.is_durable_already
