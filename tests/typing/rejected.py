"""Mistakes that a type checker finds before the program runs: one on each line with a comment, which names
the code of mypy's error. Only checked, never run."""

from __future__ import annotations

from kvraft.client import Client, Compare, Delete, Get, KeyRange, Put, SyncClient, Txn


async def asynchronous(client: Client) -> None:
    await client.kv.put("k", b"v")  # error: arg-type
    await client.kv.put(b"k")  # error: call-arg
    await client.kv.put(b"k", b"v", True)  # error: call-arg
    await client.kv.put(b"k", b"v", ttl_s=5)  # error: call-arg
    await client.kv.get(b"k", consistency="stale")  # error: arg-type
    print((await client.kv.get(b"k")).kv.value)  # error: union-attr
    print(client.kv.get(b"k").kv)  # error: attr-defined
    await client.kv.delete_range(b"users/")  # error: arg-type
    await client.kv.stream_range(KeyRange())  # error: misc
    await client.kv.compare_and_set(b"k", b"v")  # error: call-arg
    await client.kv.batch_write([Put(b"k", b"v"), Get(b"k")])  # error: list-item
    for _ in client.kv.watch(b"k"):  # error: attr-defined
        pass
    with client.lock("report"):  # error: attr-defined
        pass
    async with client.election("scheduler").campaign(b"host-3"):  # error: attr-defined
        pass
    await client.lease.grant("10")  # error: arg-type
    await client.messages.send("alice", "bob", "hi")  # error: call-arg
    for _ in client.messages.receive("bob", "phone"):  # error: attr-defined
        pass


async def transactions(client: Client) -> None:
    await client.kv.txn(compare=[Compare.value(b"k") > 1])  # error: operator
    await client.kv.txn(compare=[Compare.version(b"k") < b"1"])  # error: operator
    await client.kv.txn(compare=[Compare.version(b"k") == b"1"])  # error: list-item
    await client.kv.txn(compare=[Compare.version(b"k")])  # error: list-item
    await client.kv.txn(success=[Compare.exists(b"k")])  # error: list-item
    await client.kv.txn([Compare.exists(b"k")])  # error: call-arg
    for result in (await client.kv.txn(success=[Delete(b"k")])).results:
        print(result.deleted)  # error: union-attr
    Txn([Compare.exists(b"k")])  # error: call-arg


def synchronous(client: SyncClient) -> None:
    client.kv.put(b"k", "v")  # error: arg-type
    client.kv.put(b"k", b"v", ttl_s=5)  # error: call-arg
    client.kv.get("k")  # error: arg-type
    print(client.kv.get(b"k").kv.value)  # error: union-attr
    print(client.kv.get(b"k").value)  # error: attr-defined
    for each in client.kv.stream_range():
        print(each.values)  # error: attr-defined
    client.kv.put(b"k", b"v").header.revision = 3  # error: misc
    client.lock("report", ttl=3)  # error: call-arg
