"""Who waits for something to come into a queue, on any node: long polls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kvraft import errors

WAITERS_MAX = 10_000


class QueueWaiters:
    """The waiters of one node, by (user, device)."""

    __slots__ = ("_count", "_waiters")

    def __init__(self) -> None:
        self._waiters: dict[tuple[str, str], dict[Callable[[], None], None]] = {}
        self._count = 0

    def add(self, device: tuple[str, str], on_change: Callable[[], None]) -> None:
        """Until it is removed, `on_change` is called whenever the queue changed. Raises RequestError."""
        if self._count >= WAITERS_MAX:
            raise errors.overloaded(f"{WAITERS_MAX:,} calls wait for messages at this node already")
        self._waiters.setdefault(device, {})[on_change] = None
        self._count += 1

    def remove(self, device: tuple[str, str], on_change: Callable[[], None]) -> None:
        """Ends what `add` began."""
        waiters = self._waiters[device]
        del waiters[on_change]
        if not waiters:
            del self._waiters[device]
        self._count -= 1

    def wake(self, devices: Iterable[tuple[str, str]]) -> None:
        """These queues changed."""
        if self._count:
            for device in devices:
                for on_change in self._waiters.get(device, ()):
                    on_change()

    def wake_all(self) -> None:
        """The state became another one."""
        self.wake(list(self._waiters))
