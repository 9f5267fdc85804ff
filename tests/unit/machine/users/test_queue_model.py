"""Queues against a model of plain lists, under any order of commands and clocks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kvraft.machine.results import FailureReason
from kvraft.machine.users import due, queues
from kvraft.v1 import message_pb2
from tests.unit.machine.users.message_store import DAY_MS, MessageStore, check_laws

QUOTA_MESSAGES = 3
QUOTA_BYTES = 3 * 256 + 40
LIFE_MS = 30 * DAY_MS
ATTEMPTS_MAX = 20
DEVICES = [("ada", "phone"), ("ada", "laptop"), ("bob", "phone"), ("bob", "laptop"), ("bob", "tv")]
MEMBERS = ("ada", "bob")
Device = tuple[str, str]

devices = st.sampled_from(DEVICES)
users = st.sampled_from(MEMBERS)
keys = st.sampled_from(["", "", "", "here", "there"])
payloads = st.sampled_from([b"", b"x" * 10, b"y" * 30])
spans_ms = st.sampled_from([0, 1_000, 60_000, DAY_MS, LIFE_MS - 1_000, LIFE_MS, LIFE_MS + 60_000])
ttls_ms = st.sampled_from([0, 0, 1_000, 60_000, LIFE_MS, 2 * LIFE_MS])


@dataclass(frozen=True, slots=True)
class Held:
    """A message in a queue of the model."""

    message_id: str
    size_bytes: int
    expire_ms: int
    """0, if it is scheduled: the default time after it is due."""
    collapse_key: str
    wants_receipt_to: str
    """Empty: it wants none."""


@dataclass(slots=True)
class Queue:
    """A queue of the model."""

    next_seq: int = 1
    live: dict[int, Held] = field(default_factory=dict)
    scheduled: list[tuple[int, int, Held]] = field(default_factory=list)
    """(due, order of acceptance, message)."""
    dead: dict[int, Held] = field(default_factory=dict)
    gone: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("acked", "expired", "collapsed", "dead", "purged"), 0)
    )
    suspect: int = 0
    attempts: int = 0

    def has_room(self, size_bytes: int) -> bool:
        held = [*self.live.values(), *(each for _, _, each in self.scheduled)]
        return (
            len(held) < QUOTA_MESSAGES and sum(each.size_bytes for each in held) + size_bytes <= QUOTA_BYTES
        )

    def append(self, message: Held, clock_ms: int) -> int:
        for seq, each in list(self.live.items()):
            if message.collapse_key and each.collapse_key == message.collapse_key:
                self.take(seq, "collapsed")
        seq = self.next_seq
        self.next_seq += 1
        self.live[seq] = replace(message, expire_ms=message.expire_ms or clock_ms + LIFE_MS)
        return seq

    def take(self, seq: int, what_for: str) -> Held:
        self.gone[what_for] += 1
        return self.live.pop(seq)

    def fail(self, seq: int) -> bool:
        if seq != min(self.live, default=0):
            return False
        if self.suspect != seq:
            self.suspect, self.attempts = seq, 0
        self.attempts += 1
        if self.attempts < ATTEMPTS_MAX:
            return False
        self.dead[seq] = self.take(seq, "dead")
        return True

    def settle(self) -> None:
        if self.suspect != min(self.live, default=0):
            self.suspect = self.attempts = 0

    def at(self, clock_ms: int) -> None:
        for due_ms, _, message in sorted(self.scheduled, key=lambda each: each[:2]):
            if due_ms <= clock_ms:
                self.append(message, clock_ms)
        self.scheduled = [each for each in self.scheduled if each[0] > clock_ms]
        for seq, message in list(self.live.items()):
            if message.expire_ms <= clock_ms:
                self.take(seq, "expired")


class QueueMachine(RuleBasedStateMachine):
    """Every command on the store and on the model."""

    @initialize()
    def begin(self) -> None:
        self._patches = [
            patch.object(queues, "MESSAGES_MAX", QUOTA_MESSAGES),
            patch.object(queues, "BYTES_MAX", QUOTA_BYTES),
            patch.object(queues, "_PROBES", 2),
        ]
        for each in self._patches:
            each.start()
        self.store = MessageStore(*DEVICES)
        self.store.create_group(*MEMBERS)
        self.rows = set(self.store.rows())
        self.model = {device: Queue() for device in DEVICES}
        self.accepted: dict[tuple[str, str], tuple[int, int]] = {}
        """By destination and id: when, and at which revision."""
        self.order = 0

    def teardown(self) -> None:
        for each in getattr(self, "_patches", []):
            each.stop()
        if not hasattr(self, "store"):
            return
        for device in list(self.model):
            self.store.purge(*device)
            self.store.delete_dead_letters(user_id=device[0], device_id=device[1])
        check_laws(self.store.state)
        assert self.store.bodies() == 0
        self.store.pass_time(4 * LIFE_MS)
        left = {key for key in self.store.rows() if not key.endswith(b"\x00")} - self.rows
        assert not left

    # --- sending ----------------------------------------------------------------------------------

    @rule(
        to=st.sampled_from(["ada", "bob", "group"]),
        message_id=st.sampled_from(["m1", "m2", "m3", "m4", "m5", ""]),
        payload=payloads,
        collapse_key=keys,
        ttl_ms=ttls_ms,
        delay_ms=st.sampled_from([0, 0, 0, 1_000, 60_000, LIFE_MS]),
        receipt=st.booleans(),
    )
    def send(
        self,
        to: str,
        message_id: str,
        payload: bytes,
        collapse_key: str,
        ttl_ms: int,
        delay_ms: int,
        receipt: bool,
    ) -> None:
        clock_ms, self.order = self.store.now_ms, self.order + 1
        message_id = message_id or f"n{self.order}"
        fields: dict[str, Any] = {"group_id": "g"} if to == "group" else {"user_id": to}
        if ttl_ms:
            fields["ttl"] = {"seconds": ttl_ms // 1_000}
        due_ms = clock_ms + delay_ms if delay_ms else 0
        if due_ms:
            fields["deliver_time"] = {"seconds": due_ms // 1_000, "nanos": due_ms % 1_000 * 1_000_000}
        request = self.store.request(
            message_id, payload=payload, collapse_key=collapse_key, request_receipt=receipt, **fields
        )
        # The content of an id is always the same, so that the same id is a duplicate.
        request.message.payload = payload = payload if message_id.startswith("n") else message_id.encode()
        before = self.accepted.get((to, message_id))
        if before is not None and clock_ms - before[0] < DAY_MS:
            answer = self.store.do("send_message", request)
            assert (answer.duplicate, answer.header.revision) == (True, before[1])
            return
        message = Held(
            message_id,
            256 + len(payload),
            ((due_ms or clock_ms) + ttl_ms) if ttl_ms else 0,
            collapse_key,
            "ada" if receipt else "",
        )
        targets = [
            device
            for device in self.model
            if to in (device[0], "group") and not (to == "group" and device == ("ada", "phone"))
        ]
        accepting = [device for device in targets if self.model[device].has_room(message.size_bytes)]
        if targets and not accepting:
            assert self.store.refused("send_message", request) is FailureReason.QUEUE_FULL
            return
        answer = self.store.do("send_message", request)
        assert not answer.duplicate
        assert answer.queued_devices == len(accepting)
        self.accepted[to, message_id] = clock_ms, answer.header.revision
        for device in accepting:
            if due_ms:
                self.model[device].scheduled.append((due_ms, self.order, message))
            else:
                self.model[device].append(message, clock_ms)
            self.model[device].settle()

    # --- acknowledging ----------------------------------------------------------------------------

    @rule(device=devices, back=st.integers(0, 5), others=st.lists(st.integers(1, 40), max_size=4))
    def acknowledge(self, device: Device, back: int, others: list[int]) -> None:
        if device not in self.model:
            return
        model = self.model[device]
        through = max(0, model.next_seq - 1 - back)
        seqs = [seq for seq in others if seq < model.next_seq]
        answer = self.store.acknowledge(through, *seqs, user_id=device[0], device_id=device[1])
        in_order = [seq for seq in model.live if seq <= through]
        in_order += [seq for seq in dict.fromkeys(seqs) if seq > through and seq in model.live]
        taken = [model.take(seq, "acked") for seq in in_order]
        model.settle()
        assert answer.acknowledged == len(taken)
        assert answer.ack_floor == min(model.live, default=model.next_seq) - 1
        told = [message.message_id for message in taken if message.wants_receipt_to]
        if told:
            self._tell("ada", device, told)

    def _tell(self, sender_id: str, device: Device, message_ids: list[str]) -> None:
        receipt = message_pb2.Receipt(user_id=device[0], device_id=device[1], message_ids=message_ids)
        receipt.acknowledge_time.FromMilliseconds(self.store.now_ms)
        message_id = f"receipt-{self.store.machine.revision}"
        message = Held(message_id, 256 + receipt.ByteSize(), 0, "", "")
        for target, model in self.model.items():
            if target[0] == sender_id and model.has_room(message.size_bytes):
                model.append(message, self.store.now_ms)

    @rule(device=devices, times=st.integers(1, 21), offset=st.integers(0, 1))
    def refuse(self, device: Device, times: int, offset: int) -> None:
        if device not in self.model:
            return
        model = self.model[device]
        seq = min(model.live, default=0) + offset
        if not 0 < seq < model.next_seq:
            return
        answer = self.store.acknowledge(nacks=(seq,) * times, user_id=device[0], device_id=device[1])
        assert answer.dead == sum([model.fail(seq) for _ in range(times)])
        model.settle()

    @rule(device=devices)
    def fail_delivery(self, device: Device) -> None:
        if device in self.model and self.model[device].live:
            seq = min(self.model[device].live)
            assert self.store.fail(seq, *device) == self.model[device].fail(seq)
            self.model[device].settle()

    # --- whole queues -----------------------------------------------------------------------------

    @rule(device=devices)
    def purge(self, device: Device) -> None:
        if device not in self.model:
            return
        model = self.model[device]
        answer = self.store.purge(*device)
        assert (answer.purged, answer.unscheduled) == (len(model.live), len(model.scheduled))
        for seq in list(model.live):
            model.take(seq, "purged")
        model.scheduled.clear()
        model.settle()

    @rule(device=devices, named=st.sets(st.integers(1, 20), max_size=3))
    def redrive(self, device: Device, named: set[int]) -> None:
        if device not in self.model:
            return
        model = self.model[device]
        answer = self.store.redrive(*named, user_id=device[0], device_id=device[1])
        chosen = [seq for seq in model.dead if not named or seq in named]
        redriven = 0
        for seq in chosen:
            if not model.has_room(model.dead[seq].size_bytes):
                break
            model.append(replace(model.dead.pop(seq), expire_ms=0, collapse_key=""), self.store.now_ms)
            redriven += 1
        assert (answer.redriven, answer.left) == (redriven, len(chosen) - redriven)
        model.settle()

    @rule(device=devices, named=st.sets(st.integers(1, 20), max_size=3))
    def delete_dead_letters(self, device: Device, named: set[int]) -> None:
        if device not in self.model:
            return
        model = self.model[device]
        chosen = [seq for seq in model.dead if not named or seq in named]
        for seq in chosen:
            del model.dead[seq]
        answer = self.store.delete_dead_letters(*named, user_id=device[0], device_id=device[1])
        assert answer.deleted == len(chosen)

    @precondition(lambda self: ("bob", "tv") in self.model)
    @rule()
    def remove_device(self) -> None:
        model = self.model.pop(("bob", "tv"))
        answer = self.store.remove_device("bob", "tv")
        assert answer.purged_messages == len(model.live) + len(model.scheduled)
        prefix = queues.keys.queue_key("bob", "tv")
        assert not any(key.startswith(prefix) for key in self.store.rows())

    @precondition(lambda self: ("bob", "tv") not in self.model)
    @rule()
    def register_device(self) -> None:
        self.store.register("bob", "tv")
        self.model["bob", "tv"] = Queue()

    @rule(span_ms=spans_ms, budget=st.sampled_from([1, 3, 2_000]))
    def pass_time(self, span_ms: int, budget: int) -> None:
        self.store.now_ms += span_ms
        with patch.object(due, "MESSAGES_AT_ONCE_MAX", budget):
            self.store.pass_time()
            check_laws(self.store.state)
            for _ in range(200):
                if not due.exists(self.store.state, self.store.now_ms):
                    break
                self.store.pass_time()
        assert not due.exists(self.store.state, self.store.now_ms)
        for model in self.model.values():
            model.at(self.store.now_ms)
            model.settle()

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        check_laws(self.store.state)
        for device, model in self.model.items():
            row = self.store.queue(*device)
            found = [(q.seq, q.message.message_id) for q in self.store.live(*device)]
            clock_ms = self.store.now_ms
            assert found == [
                (seq, each.message_id) for seq, each in model.live.items() if each.expire_ms > clock_ms
            ]
            assert (row.next_seq, row.live) == (model.next_seq, len(model.live))
            assert {name: getattr(row, name) for name in model.gone} == model.gone
            assert (row.scheduled, self.store.dead_seqs(*device)) == (
                len(model.scheduled),
                sorted(model.dead),
            )
            assert (row.suspect_seq, row.attempts) == (model.suspect, model.attempts)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestQueues = QueueMachine.TestCase
