"""What time does to queues: messages expire, and scheduled ones are queued.

Each queue has at most one row in the index of what is due, by a time before which nothing in it is. The
leader finds those whose time has come and proposes to look at them; what is done is decided here, by
replicated time, in the order of the index and in steps of bounded size. A queue says by itself when it is to
be looked at again: its scheduled messages and those with a time of their own lie in rows by their time, and
those that live the default time expire in the order of the queue, so the first of them is enough. Sending
therefore touches the index only for a message that is due before everything else, and acknowledging never:
the index may name a time at which nothing happens.
"""

from __future__ import annotations

from itertools import islice

from kvraft.machine.users import keys, queues, sent
from kvraft.machine.users.fanout import give_life
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import user_data_pb2

MESSAGES_AT_ONCE_MAX = 2_000
"""Messages that expire, are queued or are looked at in one command, queues counting as one each."""
SENT_AT_ONCE_MAX = 10_000
"""Rows of the memory for duplicates that are deleted in one command."""


def exists(state: StateReader, clock_ms: int) -> bool:
    """Whether there is anything to do."""
    first = next(state.scan(*keys.due_range(clock_ms)), None)
    return first is not None or sent.has_forgettable(state, clock_ms)


def do(space: UserSpace) -> None:
    """Does what is due, the earliest first, up to a bounded amount of work."""
    budget = MESSAGES_AT_ONCE_MAX
    due = [row_key for row_key, _ in islice(space.state.scan(*keys.due_range(space.clock_ms)), budget)]
    for row_key in due:
        if budget <= 0:
            break
        user_id, device_id = keys.queue_of_due_row(row_key)
        budget -= 1 + _do(space, OpenQueue(space, user_id, device_id), budget)
    sent.forget(space, SENT_AT_ONCE_MAX)


def _do(space: UserSpace, queue: OpenQueue, budget: int) -> int:
    """Does what is due in a queue; how many messages were looked at."""
    spent = _queue_scheduled(space, queue, budget)
    spent += _expire_by_time(space, queue, budget - spent)
    more, expire_ms = _expire_by_order(space, queue, budget - spent)
    spent += more
    if spent < budget:
        first = [expire_ms, *_first_times(space, queue)]
        queue.look_next(min([due_ms for due_ms in first if due_ms], default=0))
    queue.close()
    return spent


def _queue_scheduled(space: UserSpace, queue: OpenQueue, budget: int) -> int:
    rows = list(islice(space.state.scan(*keys.scheduled_range(queue.key, space.clock_ms)), budget))
    for row_key, encoded in rows:
        entry = queue.unschedule(row_key, encoded)
        give_life(entry, space.clock_ms)
        queue.append(entry, entry.SerializeToString(deterministic=True))
    return len(rows)


def _expire_by_time(space: UserSpace, queue: OpenQueue, budget: int) -> int:
    """The messages that do not live the default time."""
    rows = list(islice(space.state.scan(*keys.expiry_range(queue.key, space.clock_ms)), budget))
    for row_key, _ in rows:
        _, seq = keys.expiry_of_row(row_key)
        encoded = space.get(keys.entry_key(queue.key, seq))
        assert encoded is not None, f"message {seq} is to expire, and not there"
        _expire(queue, seq, encoded)
    return len(rows)


def _expire_by_order(space: UserSpace, queue: OpenQueue, budget: int) -> tuple[int, int]:
    """The messages that live the default time. How many messages were looked at, and when the first such one
    that is left expires; 0: there is none, or the budget did not suffice to find it."""
    row = queue.row
    spent = 0
    seq = max(row.default_from_seq, row.ack_floor + 1)
    while spent < budget:
        found = queues.first_from(space.state, queue.key, seq, row.next_seq)
        if found is None:
            row.default_from_seq = row.next_seq
            return spent, 0
        row.default_from_seq = found[0]
        entry = user_data_pb2.EntryRow.FromString(found[1])
        if not entry.own_expiry:
            if entry.expire_ms > space.clock_ms:
                return spent, entry.expire_ms
            _expire(queue, *found)
        seq = found[0] + 1
        spent += 1
    row.default_from_seq = seq
    return spent, 0


def _expire(queue: OpenQueue, seq: int, encoded: bytes) -> None:
    queue.release(queue.take(seq, encoded))
    queue.row.expired += 1


def _first_times(space: UserSpace, queue: OpenQueue) -> tuple[int, int]:
    """When the first message expires that does not live the default time, and when the first scheduled one is
    due; 0: there is none."""
    expiring = next(space.state.scan(*keys.expiry_range(queue.key)), None)
    scheduled = next(space.state.scan(*keys.scheduled_range(queue.key)), None)
    return (
        0 if expiring is None else keys.expiry_of_row(expiring[0])[0],
        0 if scheduled is None else keys.due_of_scheduled(scheduled[0]),
    )
