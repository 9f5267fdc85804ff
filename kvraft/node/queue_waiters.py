"""Who waits for something to come into a queue, on any node: long polls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kvraft import errors
from kvraft.node.sharing import CONNECTION, Share

WAITERS_MAX = 10_000


class QueueWaiters:
    """The waiters of one node, by (user, device)."""

    __slots__ = ("_waiters", "share")

    def __init__(self) -> None:
        self._waiters: dict[tuple[str, str], dict[Callable[[], None], str]] = {}
        """And the connection of each."""
        self.share = Share(WAITERS_MAX)

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    def add(self, device: tuple[str, str], on_change: Callable[[], None]) -> None:
        """Until it is removed, `on_change` is called whenever the queue changed. Raises RequestError."""
        connection = CONNECTION.get()
        if not self.share.take(connection):
            raise errors.overloaded(self.share.refusal(connection, "calls that wait for messages"))
        self._waiters.setdefault(device, {})[on_change] = connection

    def remove(self, device: tuple[str, str], on_change: Callable[[], None]) -> None:
        """Ends what `add` began."""
        waiters = self._waiters[device]
        self.share.give_back(waiters.pop(on_change))
        if not waiters:
            del self._waiters[device]

    def wake(self, devices: Iterable[tuple[str, str]]) -> None:
        """These queues changed."""
        if self._waiters:
            for device in devices:
                for on_change in self._waiters.get(device, ()):
                    on_change()

    def wake_all(self) -> None:
        """The state became another one."""
        self.wake(list(self._waiters))
