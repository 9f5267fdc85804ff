"""An application that makes every mistake with its client, and then goes on.

Its arguments: the client addresses of a cluster, and one peer address.
"""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import os
import pickle
import signal
import sys
import time

from kvraft.client import Client, LeaseLost, SyncClient, Unavailable


def in_child(address, queue):
    try:
        Client(address)
        queue.put("made")
    except RuntimeError as error:
        queue.put(str(error))


def refused(kind, call):
    try:
        call()
    except kind as error:
        print("ok:", kind.__name__, str(error)[:100], flush=True)
    else:
        raise SystemExit(f"{kind} was not raised")


async def everything(address, peer):
    async with Client(f"{peer},{address}") as client:
        refused(TypeError, lambda: client.kv.get("a"))
        refused(TypeError, lambda: client.kv.put(None, b"v"))
        await client.kv.put(bytearray(b"k"), memoryview(b"v"))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        assert (await client.kv.get(b"k")).kv.value == b"v"
        try:
            async with client.lock("l", ttl_s=1) as lock:
                time.sleep(2.5)  # noqa: ASYNC251 - the very fault
                assert lock.lost.is_set()
            raise SystemExit("the lock was not lost")
        except LeaseLost as error:
            print("ok:", error)
        await client.sessions.register_device("bob", "phone")
        await client.messages.send("ann", to="bob", text="hi")
        async for message in client.messages.receive("bob", "phone"):
            try:
                message.nack(reason="x" * 257)
                raise SystemExit("taken")
            except ValueError as error:
                print("ok:", error)
            await message.ack()
            break
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            try:
                client._failover.binding.check()
            except RuntimeError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0  # noqa: ASYNC222 - it ends at once
        await client.kv.put(b"k", b"after fork")


def main(address, peer):
    asyncio.run(everything(address, peer))
    client = Client(address)
    asyncio.run(client.kv.get(b"k"))
    refused(RuntimeError, lambda: asyncio.run(client.kv.get(b"k")))
    with SyncClient([peer, address]) as blocking:
        blocking.kv.put(b"k", b"w")
        queue = multiprocessing.get_context("fork").Queue()
        child = multiprocessing.get_context("fork").Process(target=in_child, args=(address, queue))
        child.start()
        print("ok:", queue.get(timeout=10)[:100])
        child.join(10)
        assert child.exitcode == 0
        error = Unavailable("t", reason="X")
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert (again.args, again.reason, again.applied) == (error.args, "X", "no")
        assert blocking.with_timeout(2).kv.get(b"k").kv.value == b"w"
    left = SyncClient(address)
    left.kv.get(b"k")
    print("all is well", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
