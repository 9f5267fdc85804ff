"""What the scenes share."""

from __future__ import annotations

from dataclasses import dataclass, field

from kvraft.client import Client, KvraftError, OutgoingMessage, ReceivedMessage, SendResult
from kvraft.demo.nodes import Nodes
from kvraft.demo.screen import Screen
from kvraft.demo.tally import Tally, tally


@dataclass(slots=True)
class Device:
    """A device, and what went its way."""

    user_id: str
    device_id: str
    accepted: list[str] = field(default_factory=list)
    """Ids of the messages that were accepted for it, in the order in which they were."""
    delivered: list[str] = field(default_factory=list)
    """Ids of the messages that it was given, in the order in which they came."""

    @property
    def name(self) -> str:
        return f"{self.user_id.capitalize()}'s {self.device_id}"

    @property
    def awaited(self) -> int:
        """How many messages are still to come."""
        return len(self.accepted) - len(self.delivered)

    def take(self, message: ReceivedMessage) -> None:
        self.delivered.append(message.message.message_id)

    def tally(self) -> Tally:
        return tally(self.accepted, self.delivered)


@dataclass(slots=True)
class Stage:
    """The nodes, a client that knows all of them, the devices, and the screen."""

    screen: Screen
    nodes: Nodes
    client: Client
    alices_phone: Device = field(default_factory=lambda: Device("alice", "phone"))
    bobs_phone: Device = field(default_factory=lambda: Device("bob", "phone"))
    bobs_laptop: Device = field(default_factory=lambda: Device("bob", "laptop"))
    carols_phone: Device = field(default_factory=lambda: Device("carol", "phone"))
    daves_phone: Device = field(default_factory=lambda: Device("dave", "phone"))
    killed_node: int = 0
    """The node that is down; 0: none."""

    @property
    def devices(self) -> tuple[Device, ...]:
        return (self.alices_phone, self.bobs_phone, self.bobs_laptop, self.carols_phone, self.daves_phone)

    @property
    def running_nodes(self) -> list[int]:
        return [each for each in self.nodes.node_ids if each != self.killed_node]

    async def next_seq(self, device: Device) -> int:
        """The number that the next message for the device gets: 1 more than it ever had messages."""
        answer = await self.client.messages.queue(device.user_id, device.device_id)
        return answer.queue.next_seq

    async def send_all(self, messages: list[OutgoingMessage]) -> list[SendResult]:
        """Sends them in this order without waiting for one another's answers. Raises KvraftError."""
        results: list[SendResult] = []
        for outcome in await self.client.messages.send_many(messages):
            if isinstance(outcome, KvraftError):
                raise outcome
            results.append(outcome)
        return results
