"""What devices are owed, applied to what they were given.

Everything is checked from the outside: what was sent and answered, what was given and acknowledged. Only in
the end the rows of the state are looked at, whose laws nobody outside can see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from kvraft.machine.users import keys, queues
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import contact_pb2, message_pb2
from tests.sim.history import Violation
from tests.sim.mail.people import GROUP, USERS
from tests.sim.mail.story import Device, Given, Sending, Story

DEVICES: tuple[Device, ...] = tuple((user, device) for user, devices in USERS.items() for device in devices)
STEADY = ("bob", "phone"), ("bob", "laptop")
"""Devices of a member who is in the group all the time and blocks nobody."""


def check_story(story: Story, dead: Mapping[Device, set[str]]) -> None:
    """`dead`: the ids of the messages that each device's queue has given up. Raises Violation."""
    check_answers(story.sendings.values())
    check_revisions(story.sendings.values())
    check_given(story)
    check_order(story)
    check_acknowledged(story)
    check_owed(story, dead)
    check_blocks(story)


def check_answers(sendings: Iterable[Sending]) -> None:
    """A message has one answer, however often and wherever it is sent: the first one. One of them at most is
    not called a duplicate."""
    for sending in sendings:
        seen = set()
        for answer in sending.answers:
            plain = message_pb2.SendMessageResponse()
            plain.CopyFrom(answer)
            plain.duplicate = False
            if sending.request.message.group_id:
                # Whose queue was full is not remembered.
                plain.ClearField("device_results")
            seen.add(plain.SerializeToString(deterministic=True))
        if len(seen) > 1:
            raise Violation(f"{sending.message_id} was answered in different ways: {sending.answers}")
        firsts = sum(not answer.duplicate for answer in sending.answers)
        if firsts > 1:
            raise Violation(f"{sending.message_id} was accepted {firsts} times: {sending.answers}")


def check_revisions(sendings: Iterable[Sending]) -> None:
    """What was accepted before something else was sent has a lower revision."""
    accepted = [sending for sending in sendings if sending.answers]
    for first in accepted:
        for second in accepted:
            if first.returned < second.invoked:
                before, after = (each.answers[0].header.revision for each in (first, second))
                if not before < after:
                    raise Violation(
                        f"{first.message_id} has revision {before}, and {second.message_id}, which was "
                        f"sent after it was answered, has {after}"
                    )


def check_given(story: Story) -> None:
    """A number of a queue stands for one message, a message has one number, and both are what was sent.
    (A message that was dead and came back has another number.)"""
    by_seq: dict[tuple[Device, int], str] = {}
    for given in story.given:
        known = by_seq.setdefault((given.device, given.seq), given.message_id)
        if known != given.message_id:
            raise Violation(f"number {given.seq} of {given.device} is {known} and {given.message_id}")
        if given.message_id.startswith("receipt"):
            continue
        sending = story.sendings.get(given.message_id)
        if sending is None:
            raise Violation(f"{given.device} was given {given.message_id}, which nobody has sent")
        message = sending.request.message
        if message.payload != given.payload:
            raise Violation(f"{given.device} was given {given.payload!r} for {message.payload!r}")
        user_id = given.device[0]
        if message.user_id not in ("", user_id) or (message.group_id and user_id not in USERS):
            raise Violation(f"{given.device} was given {given.message_id}, which is for {message.user_id}")
        if message.group_id and given.device == (message.sender_id, message.sender_device_id):
            raise Violation(f"{given.device} was given its own {given.message_id}")
        for answer in sending.answers:
            for result in answer.device_results:
                device = (result.user_id or message.user_id, result.device_id)
                if device == given.device and result.queue_full:
                    raise Violation(f"{given.device} was given {given.message_id}, but its queue was full")


def check_order(story: Story) -> None:
    """Within a reading numbers rise, but for what was refused; over all of them, the numbers of a queue rise
    with the revisions at which its messages were accepted, so a group's messages have one order
    everywhere."""
    last: dict[tuple[Device, int], int] = {}
    for given in story.given:
        reading = given.device, given.stint
        if given.is_again:
            continue
        if given.seq <= last.get(reading, 0):
            raise Violation(f"{given.device} was given number {given.seq} after {last[reading]}: {given}")
        last[reading] = given.seq
    revisions: dict[Device, dict[int, tuple[int, str]]] = defaultdict(dict)
    numbers: dict[tuple[Device, str], set[int]] = defaultdict(set)
    for given in story.given:
        numbers[given.device, given.message_id].add(given.seq)
        sending = story.sendings.get(given.message_id)
        if sending is not None and not sending.request.HasField("deliver_time"):
            revisions[given.device][given.seq] = given.revision, given.message_id
    for device, of_device in revisions.items():
        before = 0
        for seq in sorted(of_device):
            revision, message_id = of_device[seq]
            if len(numbers[device, message_id]) > 1:
                continue  # it was dead and came back
            if revision < before:
                raise Violation(f"{device} has {message_id} as number {seq}, out of the order of sending")
            before = revision


def check_acknowledged(story: Story) -> None:
    """What is acknowledged for certain is not given again: not by a reading that began later, nor by the same
    one."""
    confirmed: dict[tuple[Device, int], tuple[int, int]] = {}
    for acknowledged in story.acknowledged:
        for seq in acknowledged.seqs:
            confirmed.setdefault((acknowledged.device, seq), (acknowledged.confirmed, acknowledged.stint))
    for given in story.given:
        moment, stint = confirmed.get((given.device, given.seq), (None, None))
        if moment is None:
            continue
        if given.asked > moment or (given.stint == stint and given.moment > moment):
            raise Violation(
                f"{given.device} has acknowledged number {given.seq}, and was given it again: {given}"
            )


def check_owed(story: Story, dead: Mapping[Device, set[str]]) -> None:
    """What was accepted, and could not vanish, was given, under the number that the sender was told."""
    given = {(each.device, each.message_id) for each in story.given}
    numbers = {(each.device, each.message_id, each.seq) for each in story.given}
    for sending in story.sendings.values():
        if not sending.answers or not sending.is_plain:
            continue
        answer = min(sending.answers, key=lambda each: each.duplicate)
        if answer.duplicate and sending.request.message.group_id:
            continue  # which queues were full is not known any more
        for device in _owed(sending, answer):
            was_given = (device, sending.message_id) in given
            if not was_given and device not in story.purged and sending.message_id not in dead[device]:
                raise Violation(f"{device} was never given {sending.message_id}: {answer}")
        for result in answer.device_results:
            user_id = sending.request.message.user_id
            number = (user_id, result.device_id), sending.message_id, result.seq
            if result.seq and number[:2] in given and number not in numbers:
                raise Violation(f"nobody was given {sending.message_id} as number {result.seq}: {answer}")


def _owed(sending: Sending, answer: message_pb2.SendMessageResponse) -> Iterable[Device]:
    message = sending.request.message
    queued = answer.outcome in (message_pb2.SEND_OUTCOME_QUEUED, message_pb2.SEND_OUTCOME_SCHEDULED)
    if not queued:
        return ()
    if message.user_id:
        return [(message.user_id, each.device_id) for each in answer.device_results if not each.queue_full]
    full = {(each.user_id, each.device_id) for each in answer.device_results if each.queue_full}
    sent_from = message.sender_id, message.sender_device_id
    return [device for device in STEADY if device != sent_from and device not in full]


def check_blocks(story: Story) -> None:
    """Who is blocked for certain is not heard, and who is not blocked for certain is."""
    for sending in story.sendings.values():
        message = sending.request.message
        certain = [
            each
            for each in story.blockings
            if each.other == message.sender_id
            and each.returned < sending.invoked
            and sending.returned < each.lifted
        ]
        possible = [
            each
            for each in story.blockings
            if each.other == message.sender_id
            and (each.user_id == message.user_id or (message.group_id and _covers_groups(each.scope)))
            and each.invoked < sending.returned
            and sending.invoked < each.ended
        ]
        for answer in sending.answers:
            is_blocked = answer.outcome == message_pb2.SEND_OUTCOME_BLOCKED
            if is_blocked and not possible:
                raise Violation(f"{message.message_id} was blocked by nobody: {answer}")
            if not is_blocked and any(each.user_id == message.user_id for each in certain):
                raise Violation(f"{message.message_id} came through although it was blocked: {answer}")
        if message.group_id and any(_covers_groups(each.scope) for each in certain):
            _check_not_given(story.given, message.message_id, "carol")


def _covers_groups(scope: contact_pb2.BlockScope) -> bool:
    return scope == contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS


def _check_not_given(given: Iterable[Given], message_id: str, user_id: str) -> None:
    for each in given:
        if each.message_id == message_id and each.device[0] == user_id:
            raise Violation(f"{user_id} was given {message_id} although its sender was blocked")


# --- the state ------------------------------------------------------------------------------------


def check_state(state: StateReader) -> dict[Device, set[str]]:
    """The laws of the rows when everything is read: counters, references, the index of what is due. The ids
    of the messages that are dead, by device. Raises Violation."""
    referred: Counter[tuple[str, int]] = Counter()
    dead: dict[Device, set[str]] = {}
    for device in DEVICES:
        row = queues.find(state, *device)
        gone = row.acked + row.expired + row.collapsed + row.dead + row.purged
        if row.next_seq - 1 != row.live + gone:
            raise Violation(f"the counters of {device} do not add up: {row}")
        if row.live or row.scheduled:
            raise Violation(f"{device} has not read everything: {row}")
        letters = list(queues.dead_letters(state, *device, 0))
        dead[device] = {letter.message.message_id for letter in letters}
        referred.update(
            (letter.entry.body_owner, letter.entry.body_id) for letter in letters if letter.entry.body_id
        )
        if row.due_ms and state.get(keys.due_key(row.due_ms, *device)) is None:
            raise Violation(f"{device} is due at {row.due_ms}, and not in the index")
    counted: Counter[tuple[str, int]] = Counter()
    for owner in dict.fromkeys((*USERS, GROUP, "eve")):
        prefix = keys.body_key(owner, 0)[:-8]
        for row_key, row in state.scan(prefix, keys.prefix_end(prefix)):
            if len(row_key) > len(prefix) + 8:
                body_id = int.from_bytes(row_key[len(prefix) : len(prefix) + 8], "big")
                counted[owner, body_id] = int.from_bytes(row, "big")
    if counted != referred:
        raise Violation(f"shared bodies are referred to {dict(referred)}, and say {dict(counted)}")
    return dead
