"""Users with queues, and the laws that hold between the rows of queues after every command."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kvraft.machine.users import keys, queues
from kvraft.machine.users.queues import QueuedMessage
from kvraft.machine.users.rows import find_user, users_after
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import command_pb2, contact_pb2, group_pb2, message_pb2, session_pb2, user_data_pb2
from tests.unit.machine.users.user_store import TERM, UserStore

DAY_MS = 24 * 60 * 60 * 1000
TEXT = message_pb2.CONTENT_TYPE_TEXT


class MessageStore(UserStore):
    """Messages are sent by ada's phone to bob, unless they say otherwise."""

    def __init__(self, *devices: tuple[str, str]) -> None:
        super().__init__()
        self._ids = 0
        for user_id, device_id in devices or (("ada", "phone"), ("bob", "phone")):
            self.register(user_id, device_id)

    def register(self, user_id: str, device_id: str) -> Any:
        return self.do(
            "register_device", session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id)
        )

    def remove_device(self, user_id: str, device_id: str) -> Any:
        return self.do("remove_device", session_pb2.RemoveDeviceRequest(user_id=user_id, device_id=device_id))

    def block(self, user_id: str, blocked_id: str, *, groups: bool = False) -> None:
        scope = contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS if groups else contact_pb2.BLOCK_SCOPE_DIRECT
        self.do(
            "block_user", contact_pb2.BlockUserRequest(user_id=user_id, blocked_id=blocked_id, scope=scope)
        )

    def create_group(self, owner_id: str, *member_ids: str) -> None:
        group = group_pb2.Group(group_id="g")
        self.do(
            "create_group",
            group_pb2.CreateGroupRequest(group=group, owner_id=owner_id, member_ids=member_ids),
        )

    def request(self, message_id: str = "", **fields: Any) -> message_pb2.SendMessageRequest:
        """`fields` of the request and of its message."""
        self._ids += 1
        names = message_pb2.SendMessageRequest.DESCRIPTOR.fields_by_name
        request = message_pb2.SendMessageRequest(
            **{name: fields.pop(name) for name in list(fields) if name in names}
        )
        if "group_id" not in fields:
            fields.setdefault("user_id", "bob")
        fields = {"sender_id": "ada", "sender_device_id": "phone", "content_type": TEXT} | fields
        request.message.CopyFrom(message_pb2.Message(message_id=message_id or f"m{self._ids}", **fields))
        return request

    def send(self, message_id: str = "", **fields: Any) -> Any:
        return self.do("send_message", self.request(message_id, **fields))

    def acknowledge(
        self,
        through_seq: int = 0,
        *seqs: int,
        nacks: tuple[int, ...] = (),
        user_id: str = "bob",
        device_id: str = "phone",
        epoch: int = 0,
    ) -> Any:
        request = message_pb2.AcknowledgeMessagesRequest(
            user_id=user_id,
            device_id=device_id,
            epoch=epoch,
            through_seq=through_seq,
            seqs=seqs,
            nacks=[message_pb2.Nack(seq=seq, reason="broken") for seq in nacks],
        )
        return self.do("acknowledge_messages", request)

    def fail(self, seq: int, user_id: str = "bob", device_id: str = "phone") -> bool:
        """Whether it is a dead letter now."""
        command = user_data_pb2.FailDeliveryCommand(
            user_id=user_id, device_id=device_id, seq=seq, reason="gone"
        )
        response = self.do("fail_delivery", command)
        assert isinstance(response, user_data_pb2.FailDeliveryResponse)
        return response.dead

    def purge(self, user_id: str = "bob", device_id: str = "phone") -> Any:
        return self.do("purge_queue", message_pb2.PurgeQueueRequest(user_id=user_id, device_id=device_id))

    def redrive(self, *seqs: int, user_id: str = "bob", device_id: str = "phone") -> Any:
        return self.do(
            "redrive_dead_letters",
            message_pb2.RedriveDeadLettersRequest(user_id=user_id, device_id=device_id, seqs=seqs),
        )

    def delete_dead_letters(self, *seqs: int, user_id: str = "bob", device_id: str = "phone") -> Any:
        return self.do(
            "delete_dead_letters",
            message_pb2.DeleteDeadLettersRequest(user_id=user_id, device_id=device_id, seqs=seqs),
        )

    def pass_time(self, ms: int = 0) -> None:
        """The leader looks once at what is due after that time."""
        self.now_ms += ms
        self.apply(command_pb2.Command(expire={"term": TERM, "user_data": True}))

    def queue(self, user_id: str = "bob", device_id: str = "phone") -> user_data_pb2.QueueRow:
        return queues.find(self.state, user_id, device_id)

    def live(self, user_id: str = "bob", device_id: str = "phone", after_seq: int = 0) -> list[QueuedMessage]:
        return list(queues.live_after(self.state, user_id, device_id, after_seq, self.now_ms))

    def ids(self, user_id: str = "bob", device_id: str = "phone") -> list[str]:
        """The ids of the messages in a queue."""
        return [queued.message.message_id for queued in self.live(user_id, device_id)]

    def seqs(self, user_id: str = "bob", device_id: str = "phone") -> list[int]:
        return [queued.seq for queued in self.live(user_id, device_id)]

    def dead_seqs(self, user_id: str = "bob", device_id: str = "phone") -> list[int]:
        return [letter.seq for letter in queues.dead_letters(self.state, user_id, device_id, 0)]

    def bodies(self) -> int:
        """Rows of shared bodies."""
        return sum(1 for key in self.state.rows if key[0] == 4 and key[3] == 3)


def check_laws(state: StateReader) -> None:
    """Whatever is written in one row about others is so: counters, places in indexes, references."""
    rows = dict(state.scan(b"\x04", None))
    references: Counter[bytes] = Counter()
    expected_due: set[bytes] = set()
    for user_id in users_after(state, ""):
        found = find_user(state, user_id)
        assert found is not None
        for device in found[0].devices:
            _check_queue(rows, user_id, device.device_id, references, expected_due)
    assert {key for key in rows if key[0] == 6} == expected_due
    bodies = {key: row for key, row in rows.items() if key[0] == 4 and key[3] == 3}
    counted = {key[:-1]: int.from_bytes(row) for key, row in bodies.items() if key[:-1] in bodies}
    assert counted == dict(references)
    assert len(bodies) == 2 * len(references)


def _check_queue(
    rows: dict[bytes, bytes],
    user_id: str,
    device_id: str,
    references: Counter[bytes],
    expected_due: set[bytes],
) -> None:
    key = keys.queue_key(user_id, device_id)
    parts: dict[bytes, dict[bytes, bytes]] = {tag: {} for tag in (b"e", b"k", b"l", b"t", b"v")}
    for row_key, row in rows.items():
        if row_key.startswith(key) and row_key != key:
            parts[row_key[len(key) : len(key) + 1]][row_key] = row
    if key not in rows:
        assert not any(parts.values())
        return
    header = user_data_pb2.QueueRow.FromString(rows[key])
    entries = {keys.seq_of_row(row_key): _entry(row) for row_key, row in parts[b"e"].items()}
    scheduled = {row_key: _entry(row) for row_key, row in parts[b"v"].items()}
    letters = [_entry(row) for row in parts[b"l"].values()]
    for entry in (*entries.values(), *scheduled.values(), *letters):
        assert bool(entry.body_id) != entry.HasField("message")
        if entry.body_id:
            references[keys.body_key(entry.body_owner, entry.body_id)] += 1
    gone = header.acked + header.expired + header.collapsed + header.dead + header.purged
    assert header.next_seq - 1 == header.live + gone
    assert (header.live, header.live_bytes) == (len(entries), sum(e.size_bytes for e in entries.values()))
    assert header.scheduled == len(scheduled)
    assert header.scheduled_bytes == sum(entry.size_bytes for entry in scheduled.values())
    assert header.dead_letters == len(letters)
    assert header.ack_floor == min(entries, default=header.next_seq) - 1
    assert max(entries, default=0) < header.next_seq
    assert header.live + header.scheduled <= queues.MESSAGES_MAX
    assert header.live_bytes + header.scheduled_bytes <= queues.BYTES_MAX
    assert not header.attempts or header.suspect_seq == header.ack_floor + 1
    assert parts[b"k"] == {
        keys.collapse_row_key(key, entry.collapse_key): seq.to_bytes(8)
        for seq, entry in entries.items()
        if entry.collapse_key
    }
    assert set(parts[b"t"]) == {
        keys.expiry_key(key, entry.expire_ms, seq) for seq, entry in entries.items() if entry.own_expiry
    }
    defaults = [(seq, entry.expire_ms) for seq, entry in sorted(entries.items()) if not entry.own_expiry]
    assert defaults == sorted(defaults, key=lambda each: each[1])
    assert all(seq >= header.default_from_seq for seq, _ in defaults)
    times = [entry.expire_ms for entry in entries.values()] + [*map(keys.due_of_scheduled, scheduled)]
    assert not times or 0 < header.due_ms <= min(times)
    if header.due_ms:
        expected_due.add(keys.due_key(header.due_ms, user_id, device_id))


def _entry(row: bytes) -> user_data_pb2.EntryRow:
    return user_data_pb2.EntryRow.FromString(row)
