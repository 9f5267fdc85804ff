"""The real services over one node, and kvctl before them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from kvctl.root import kvctl
from kvraft.client import SyncClient
from tests.fakes.one_node import OneNode, one_node

PATIENCE_S = 20


class Served:
    """A node in a thread of its own, and kvctl before it."""

    def __init__(self, node: OneNode, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.loop = loop
        self.environment = {**os.environ, "KVRAFT_ENDPOINTS": node.endpoints, "PYTHONUNBUFFERED": "1"}

    def run(self, *arguments: str) -> Result:
        result = CliRunner().invoke(kvctl, arguments, env=self.environment, prog_name="kvctl")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def client(self) -> SyncClient:
        return SyncClient(self.node.endpoints)

    def expire(self, *lease_ids: int) -> None:
        asyncio.run_coroutine_threadsafe(self.node.expire(*lease_ids), self.loop).result(PATIENCE_S)

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "kvctl", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def serving() -> Iterator[Served]:
    """For as long as it is entered."""
    ready, leave = threading.Event(), asyncio.Event()
    found: list[Served] = []

    async def serve() -> None:
        async with one_node() as node:
            found.append(Served(node, asyncio.get_running_loop()))
            ready.set()
            await leave.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(leave.set)
        thread.join()
