"""What clients share of a node: no connection takes all of anything.

A limit of the node is a `Share`. A connection may hold as much of it as it leaves to the others: one alone
gets half, and each that comes after others that are greedy half of what these have left (the dynamic
thresholds of Choudhury and Hahne, 1998). Nothing is set aside, and nothing has to be configured.
"""

from __future__ import annotations

from contextvars import ContextVar

CONNECTION: ContextVar[str] = ContextVar("connection", default="")
"""On whose behalf the running task works: a client's connection, by the address of its other end; empty: the
node itself."""


class Share:
    """How much of one limit each connection holds."""

    __slots__ = ("_held", "_limit", "_taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._held: dict[str, int] = {}

    def held_by(self, connection: str) -> int:
        """How much of it the connection has."""
        return self._held.get(connection, 0)

    @property
    def taken(self) -> int:
        """By all connections."""
        return self._taken

    def has_room(self, connection: str, amount: int = 1) -> bool:
        """Whether `amount` more would leave to the others as much as the connection then holds."""
        return self._held.get(connection, 0) + amount <= self._limit - self._taken - amount

    def take(self, connection: str, amount: int = 1) -> bool:
        """Takes `amount`, if there is room for it."""
        if not self.has_room(connection, amount):
            return False
        self.add(connection, amount)
        return True

    def add(self, connection: str, amount: int = 1) -> None:
        """Takes `amount` in any case."""
        self._held[connection] = self._held.get(connection, 0) + amount
        self._taken += amount

    def refusal(self, connection: str, what: str) -> str:
        """Why `take` refused, in words; `what` there is a share of, in the plural."""
        held = self._held.get(connection, 0)
        return (
            f"this node has room for {self._limit:,} {what}; {self._taken:,} are taken, {held:,} of them by "
            "this connection, which may hold as much as it leaves to others"
        )

    def give_back(self, connection: str, amount: int = 1) -> None:
        """Ends what `take` began."""
        self._taken -= amount
        left = self._held[connection] - amount
        if left:
            self._held[connection] = left
        else:
            del self._held[connection]
