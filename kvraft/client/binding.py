"""A client belongs to one event loop and one process, until it is closed. Anywhere else its calls would
wait for ever, so they raise.

A fork copies memory, but no threads: in the child nothing moves a connection of the parent any more, and
gRPC, once it has begun in the parent, cannot begin again.
"""

from __future__ import annotations

import asyncio
import os
import weakref

from kvraft.client.errors import ClientClosed

_FORKED = (
    "{what}, and a fork does not carry gRPC over. Make the client in the process that uses it, and begin "
    'that process by "spawn": multiprocessing.get_context("spawn"), ProcessPoolExecutor(mp_context=...). Of '
    "a server that forks its workers, make it in their start hook, and none before"
)


class _Process:
    """What is known of this process."""

    __slots__ = ("_channels", "_kept", "forks", "has_connected", "is_spoilt")

    def __init__(self) -> None:
        self.forks = 0
        """How often it is a child of the one in which this module was imported."""
        self.has_connected = False
        self.is_spoilt = False
        """Whether a process before it had connected when it forked."""
        self._channels = weakref.WeakSet[object]()
        self._kept: list[object] = []

    def connected(self, channel: object) -> None:
        """A channel was made."""
        self.has_connected = True
        self._channels.add(channel)

    def has_forked(self) -> None:
        """This is the child, where nothing may take the parent's channels apart."""
        self.forks += 1
        self.is_spoilt = self.is_spoilt or self.has_connected
        self._kept.extend(self._channels)


PROCESS = _Process()
os.register_at_fork(after_in_child=PROCESS.has_forked)


class Binding:
    """The process in which a client was made, and the event loop in which it was first used."""

    __slots__ = ("_forks", "_loop", "_pid", "is_closed")

    def __init__(self) -> None:
        """Raises RuntimeError in a process that cannot have a client any more."""
        if PROCESS.is_spoilt:
            raise RuntimeError(_FORKED.format(what="this process was forked from one that had used a client"))
        self._forks = PROCESS.forks
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    @property
    def is_gone(self) -> bool:
        """Whether it can be used nowhere any more: this is a fork of its process, or its loop is closed."""
        return self._forks != PROCESS.forks or (self._loop is not None and self._loop.is_closed())

    def close(self) -> None:
        """It can be used nowhere any more."""
        self.is_closed = True
        self._loop = None

    def check_process(self) -> None:
        """Raises RuntimeError after a fork."""
        if self._forks != PROCESS.forks:
            raise RuntimeError(
                _FORKED.format(what=f"this client was made in process {self._pid}, before a fork")
            )

    def check(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is the client's from the first call on. Raises RuntimeError if it is
        another one, or after a fork; ClientClosed."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._forks != PROCESS.forks:
            self._bind(loop)
        return loop

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.is_closed:
            raise ClientClosed
        self.check_process()
        if self._loop is not None:
            ended = " which is closed," if self._loop.is_closed() else ""
            raise RuntimeError(
                f"this client belongs to another event loop,{ended} the one in which it was first used. "
                "Make one in each event loop (with several asyncio.run, in each of them), or use "
                "SyncClient, which has a loop of its own for all threads"
            )
        self._loop = loop
