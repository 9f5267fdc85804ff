"""Who sends what to whom, and who does not want to hear from whom."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from kvraft.machine.results import Failed, RegisterClientResult, Result, UserDataResult
from kvraft.v1 import command_pb2, contact_pb2, group_pb2, message_pb2
from tests.sim.history import Violation
from tests.sim.mail.requests import Request
from tests.sim.mail.story import Blocking, Sending, Story
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import World

USERS = {"alice": ("phone",), "bob": ("phone", "laptop"), "carol": ("phone",), "dave": ("phone", "pad")}
"""Each with their devices."""
GROUP = "friends"
FOUNDERS = ("alice", "bob", "carol")
"""Of the group; dave comes and goes."""
SENDERS = ("alice", "bob", "carol", "eve")
"""Eve is nobody's friend and has no device."""


def register_everybody(world: World, chance: random.Random) -> None:
    """Devices, one after the other, and then the group; what is sent before that is refused."""
    names = [(user_id, device_id) for user_id, devices in USERS.items() for device_id in devices]

    def go_on(_: Result | None) -> None:
        command = command_pb2.Command()
        if not names:
            created = command.user_data.create_group
            created.group.group_id = GROUP
            created.owner_id = FOUNDERS[0]
            created.member_ids.extend(FOUNDERS[1:])
            Request(world, chance, "create group", command, lambda _: None)
            return
        registered = command.user_data.register_device
        registered.user_id, registered.device_id = names.pop(0)
        Request(world, chance, f"register {registered.user_id}", command, go_on)

    go_on(None)


class Sender:
    """One message after the other, each until it is answered; some twice at a time, some again later."""

    def __init__(self, number: int, world: World, story: Story, chance: random.Random, pace_us: int) -> None:
        self._number = number
        self._world = world
        self._story = story
        self._chance = chance
        self._pace_us = pace_us
        self._sent = 0
        self._open = 0
        self._is_thinking = True
        self.is_stopped = False
        self._think()

    @property
    def is_idle(self) -> bool:
        """Whether everything it sent is answered."""
        return self._open == 0

    def say_goodbye(self) -> None:
        """A last message, to devices that are all connected: they must be told by themselves."""
        self._sent += 1
        request = message_pb2.SendMessageRequest()
        message = request.message
        message.message_id = f"m{self._number}-{self._sent}"
        message.sender_id, message.user_id = "eve", "bob"
        message.content_type = message_pb2.CONTENT_TYPE_TEXT
        message.payload = message.message_id.encode()
        sending = self._story.sendings[message.message_id] = Sending(request, self._story.now())
        self._ask(sending, lambda _: None)

    def _think(self) -> None:
        if not self.is_stopped:
            delay_us = 1 + int(self._chance.expovariate(1 / self._pace_us))
            self._world.timeline.after(delay_us, self._send)

    def _send(self) -> None:
        self._is_thinking = False
        if self.is_stopped:
            return
        chance = self._chance
        self._sent += 1
        request = message_pb2.SendMessageRequest()
        message = request.message
        message.message_id = f"m{self._number}-{self._sent}"
        message.sender_id = chance.choice(SENDERS)
        message.sender_device_id = "phone"
        message.content_type = message_pb2.CONTENT_TYPE_TEXT
        message.payload = message.message_id.encode() + b"." * chance.choice((0, 3, 60))
        if chance.random() < 0.7:
            message.user_id = chance.choice(tuple(USERS))
        else:
            message.group_id = GROUP
        kind = chance.random()
        if kind < 0.1:
            request.collapse_key = "place"
        elif kind < 0.2:
            request.ttl.FromSeconds(chance.choice((1, 3)))
        elif kind < 0.3:
            # By the cluster's time, which nobody here knows: soon, or in the past, or late.
            request.deliver_time.FromMilliseconds(self._about_now_ms() + chance.randrange(1_000))
        message.request_receipt = chance.random() < 0.1 and message.sender_id != "eve"
        sending = self._story.sendings[message.message_id] = Sending(request, self._story.now())
        for _ in range(2 if chance.random() < 0.15 else 1):
            self._ask(sending, self._answered)

    def _about_now_ms(self) -> int:
        return max(
            (host.replica.machine.clock_ms for host in self._world.hosts.values() if host.replica), default=0
        )

    def _ask(self, sending: Sending, on_end: Callable[[Sending], None]) -> None:
        command = command_pb2.Command()
        command.user_data.send_message.CopyFrom(sending.request)
        self._open += 1

        def on_result(result: Result) -> None:
            self._open -= 1
            self._note(sending, result)
            on_end(sending)

        Request(self._world, self._chance, f"send {sending.message_id}", command, on_result)

    def _note(self, sending: Sending, result: Result) -> None:
        events = self._world.report.events
        if isinstance(result, Failed):
            sending.refused = result.reason
            events[f"send {result.reason.name}"] += 1
            return
        if not isinstance(result, UserDataResult) or not isinstance(
            result.response, message_pb2.SendMessageResponse
        ):
            raise Violation(f"{sending.message_id} was answered {result}")
        response = result.response
        sending.returned = min(sending.returned, self._story.now())
        sending.answers.append(response)
        outcome = message_pb2.SendOutcome.Name(response.outcome).removeprefix("SEND_OUTCOME_")
        events[f"send {'again' if response.duplicate else outcome}"] += 1

    def _answered(self, sending: Sending) -> None:
        if sending.answers and self._chance.random() < 0.2:
            later_us = self._chance.randrange(3_000 * MS_US)
            self._world.timeline.after(later_us, self._repeat, sending)
        if not self._is_thinking:
            self._is_thinking = True
            self._think()

    def _repeat(self, sending: Sending) -> None:
        if not self.is_stopped:
            self._ask(sending, lambda _: None)


class Moods:
    """Carol blocks one and another and forgives them; dave comes to the group and goes."""

    def __init__(self, world: World, story: Story, chance: random.Random) -> None:
        self._world = world
        self._story = story
        self._chance = chance
        self.is_stopped = False
        self._blocking: Blocking | None = None
        self._client_id = 0
        self._sequence = 0
        register = command_pb2.Command()
        register.register_client.SetInParent()
        Request(world, chance, "register client", register, self._registered)
        self._later(self._change_group)

    def _registered(self, result: Result) -> None:
        assert isinstance(result, RegisterClientResult), result
        self._client_id = result.client_id
        self._later(self._change_block)

    def _later(self, action: Callable[[], None]) -> None:
        self._world.timeline.after(1 + self._chance.randrange(8_000 * MS_US), action)

    def _change_block(self) -> None:
        if self.is_stopped:
            return
        command = command_pb2.Command()
        blocking = self._blocking
        if blocking is None:
            scope = self._chance.choice(
                (contact_pb2.BLOCK_SCOPE_DIRECT, contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS)
            )
            blocking = Blocking("carol", self._chance.choice(("alice", "eve")), scope, self._story.now())
            self._story.blockings.append(blocking)
            block = command.user_data.block_user
            block.user_id, block.blocked_id, block.scope = blocking.user_id, blocking.other, scope
        else:
            blocking.lifted = self._story.now()
            unblock = command.user_data.unblock_user
            unblock.user_id, unblock.blocked_id = blocking.user_id, blocking.other
        self._request(blocking, command)

    def _request(self, blocking: Blocking, command: command_pb2.Command) -> None:
        # Numbered: an earlier attempt that comes late must not undo what was done since.
        self._sequence += 1
        command.client_id, command.sequence = self._client_id, self._sequence
        command.first_unacknowledged = self._sequence

        def on_result(result: Result) -> None:
            if not isinstance(result, Failed):
                if self._blocking is None:
                    self._blocking = blocking
                    blocking.returned = self._story.now()
                else:
                    self._blocking = None
                    blocking.ended = self._story.now()
                self._world.report.events["block changed"] += 1
            self._later(self._change_block)

        Request(self._world, self._chance, f"block {blocking.other}", command, on_result)

    def _change_group(self) -> None:
        if self.is_stopped:
            return
        command = command_pb2.Command()
        if self._chance.random() < 0.5:
            added: group_pb2.AddGroupMembersRequest = command.user_data.add_group_members
            added.group_id = GROUP
            added.user_ids.append("dave")
        else:
            removed: group_pb2.RemoveGroupMembersRequest = command.user_data.remove_group_members
            removed.group_id = GROUP
            removed.user_ids.append("dave")
        Request(self._world, self._chance, "change group", command, lambda _: self._later(self._change_group))
