"""What applications write, with the types that they get. Only checked, never run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, assert_type

from kvraft.client import (
    KEEP,
    STALE,
    Alarm,
    AtLeast,
    AuditEntry,
    AuditPage,
    Barrier,
    BatchWriteResult,
    BlockedUser,
    BlockResult,
    BlockScope,
    CheckProgress,
    Client,
    CloseSessionResult,
    Compacted,
    Compare,
    CompareAndSetResult,
    Contact,
    ContactChanges,
    ContactPage,
    ContactUpdate,
    ContentType,
    CountResult,
    DeadLetter,
    Delete,
    DeleteContactResult,
    DeleteRange,
    DeleteRangeResult,
    DeleteResult,
    Delivery,
    Device,
    DeviceList,
    Election,
    EraseUserResult,
    Erasure,
    Event,
    EventBatch,
    EventKind,
    FieldViolation,
    Gateway,
    Get,
    GetLeaseResult,
    GetResult,
    GetSessionResult,
    GrantLeaseResult,
    Group,
    GroupMember,
    GroupResult,
    GroupRole,
    HeldLease,
    InvalidArgument,
    KeepAliveResult,
    KeyRange,
    KeyValue,
    KvraftError,
    Leader,
    Leadership,
    Lease,
    LeasePage,
    Lock,
    Member,
    MemberPage,
    OpenMode,
    OpenSessionResult,
    OutgoingMessage,
    Presence,
    PresenceResult,
    PullResult,
    Put,
    PutResult,
    Queue,
    Range,
    RangePage,
    RangeResult,
    ReceivedMessage,
    Receiver,
    RegisterDeviceResult,
    RemoveDeviceResult,
    ResourceExhausted,
    RevokeLeaseResult,
    RevokeSessionsResult,
    Role,
    SendOutcome,
    SendResult,
    Session,
    SessionEvent,
    SessionEventBatch,
    SessionEventKind,
    SessionPage,
    SessionWatch,
    Status,
    SyncClient,
    SyncGateway,
    SyncHeldLease,
    SyncIterator,
    SyncLeadership,
    SyncLock,
    SyncReceivedMessage,
    SyncSessionWatch,
    SyncWatch,
    Txn,
    TxnResult,
    UpdateContactResult,
    UpdateContactsResult,
    UserGroup,
    Watch,
)
from kvraft.testing import LocalCluster, LocalClusterError

USERS = KeyRange.prefix(b"users/")


async def sessions(client: Client) -> None:
    registered = assert_type(await client.sessions.register_device("alice", "phone"), RegisterDeviceResult)
    assert_type(registered.device, Device)
    assert_type(await client.sessions.list_devices("alice"), DeviceList)
    assert_type(await client.sessions.remove_device("alice", "phone"), RemoveDeviceResult)
    opened = assert_type(
        await client.sessions.open("alice", "phone", 7, mode=OpenMode.FAIL_IF_OPEN), OpenSessionResult
    )
    assert_type(await client.sessions.close("alice", "phone", opened.session.epoch), CloseSessionResult)
    assert_type(await client.sessions.revoke("alice"), RevokeSessionsResult)
    assert_type(await client.sessions.get("alice", "phone"), GetSessionResult)
    assert_type(await client.sessions.list(lease_id=7), SessionPage)
    async for session in client.sessions.all(7):
        assert_type(session, Session)
    seen = assert_type(await client.sessions.presence("bob", ["alice"]), PresenceResult)
    assert_type(seen.presences, tuple[Presence, ...])

    watch = assert_type(client.sessions.watch(lease_id=7, from_revision=42), SessionWatch)
    async for event in watch:
        assert_type(event, SessionEvent)
    async for batch in watch.batches():
        assert_type(batch, SessionEventBatch)
    async with client.sessions.gateway("10.0.0.7:443", ttl_s=5) as gateway:
        assert_type(gateway, Gateway)
        assert_type(gateway.lost, asyncio.Event)
        assert_type(await gateway.close(await gateway.open("alice", "phone")), bool)


async def kv(client: Client) -> None:
    put = assert_type(await client.kv.put(b"k", b"v", return_previous=True, lease_id=7), PutResult)
    assert_type(put.header.revision, int)
    assert_type(put.previous, KeyValue | None)

    got = assert_type(await client.kv.get(b"k", consistency=AtLeast(put.header.revision)), GetResult)
    if got.kv is not None:
        assert_type(got.kv.value, bytes)
        assert_type(got.kv.mod_revision, int)

    deleted = assert_type(await client.kv.delete(b"k"), DeleteResult)
    assert_type(deleted.deleted, bool)
    deleted_range = assert_type(await client.kv.delete_range(USERS, limit=10), DeleteRangeResult)
    assert_type(deleted_range.deleted, int)

    page = assert_type(await client.kv.range(USERS, page_size=10, consistency=STALE), RangePage)
    assert_type(page.kvs, tuple[KeyValue, ...])
    assert_type((await client.kv.count()).count, int)
    async for each in client.kv.stream_range(USERS, reverse=True):
        assert_type(each, KeyValue)

    swapped = assert_type(
        await client.kv.compare_and_set(b"k", b"v", expected_revision=0), CompareAndSetResult
    )
    assert_type(swapped.current, KeyValue | None)
    assert_type(await client.kv.compare_and_delete(b"k", expected_revision=1), CompareAndSetResult)
    written = assert_type(await client.kv.batch_write([Put(b"a", b"1"), Delete(b"b")]), BatchWriteResult)
    assert_type(written.existed, tuple[bool, ...])


async def txn(client: Client) -> None:
    nested = Txn(compare=[Compare.missing(b"a")], success=[Get(b"b")])
    done = await client.kv.txn(
        compare=[
            assert_type(Compare.exists(b"k"), Compare),
            assert_type(Compare.version(b"k") == 1, Compare),
            assert_type(Compare.value(USERS) != b"gone", Compare),
            assert_type(Compare.mod_revision(b"k") < 7, Compare),
            assert_type(Compare.create_revision(b"k") > 7, Compare),
            assert_type(Compare.lease_id(b"k") == 0, Compare),
        ],
        success=[Put(b"k", b"v"), Delete(b"l"), DeleteRange(USERS), Get(b"k"), Range(USERS, limit=3), nested],
        failure=[Get(b"k")],
    )
    assert_type(done, TxnResult)
    assert_type(done.succeeded, bool)
    for result in done.results:
        match result:
            case PutResult() | DeleteResult():
                assert_type(result.previous, KeyValue | None)
            case DeleteRangeResult():
                assert_type(result.deleted, int)
            case GetResult():
                assert_type(result.kv, KeyValue | None)
            case RangeResult():
                assert_type(result.kvs, tuple[KeyValue, ...])
            case _:
                assert_type(result, TxnResult)


async def watch(client: Client) -> None:
    changes = client.kv.watch(USERS, start_revision=7, previous=True, exclude=[EventKind.DELETE])
    assert_type(changes, Watch)
    async for event in changes:
        assert_type(event, Event)
        assert_type(event.kind, EventKind)
        assert_type(event.revision, int)
        assert_type(event.kv, KeyValue)
        assert_type(event.previous, KeyValue | None)
    try:
        async for batch in client.kv.watch(b"k").batches():
            assert_type(batch, EventBatch)
            assert_type(batch.events, tuple[Event, ...])
    except Compacted as error:
        assert_type(error.oldest_revision, int)


async def contacts(client: Client) -> None:
    update = ContactUpdate(contact_id="bob", display_name="Bob", mute_until=None, data=KEEP)
    updated = assert_type(await client.contacts.update("alice", update), UpdateContactResult)
    assert_type(updated.contact, Contact)
    assert_type(await client.contacts.update_many("alice", [update]), UpdateContactsResult)
    assert_type((await client.contacts.get("alice", "bob", consistency=STALE)).contact, Contact)
    assert_type(await client.contacts.delete("alice", "bob", etag="7"), DeleteContactResult)
    page = assert_type(await client.contacts.list("alice", page_size=7), ContactPage)
    assert_type(page.contacts, tuple[Contact, ...])
    async for contact in client.contacts.all("alice"):
        assert_type(contact, Contact)
    changes = assert_type(await client.contacts.sync("alice", 42), ContactChanges)
    assert_type((changes.changed, changes.deleted), tuple[tuple[Contact, ...], tuple[str, ...]])
    blocked = await client.contacts.block("alice", "eve", scope=BlockScope.DIRECT_AND_GROUPS)
    assert_type(blocked, BlockResult)
    async for other in client.contacts.all_blocked("alice"):
        assert_type(other, BlockedUser)


async def messages(client: Client) -> None:
    sent = assert_type(await client.messages.send("alice", to="bob", text="hi"), SendResult)
    assert_type((sent.message_id, sent.outcome), tuple[str, SendOutcome])
    outgoing = OutgoingMessage(sender_id="alice", group="g", payload=b"x", content_type=ContentType.OPAQUE)
    assert_type(await client.messages.send_many([outgoing]), list[SendResult | KvraftError])
    receiver = assert_type(client.messages.receive("bob", "phone", until_empty=True), Receiver)
    async for message in receiver:
        assert_type(message, ReceivedMessage)
        assert_type((message.seq, message.text), tuple[int, str])
        await message.ack()
        message.ack_soon()
        message.nack(delay_s=1, reason="busy")
    pulled = assert_type(await client.messages.pull("bob", "phone", wait_s=3), PullResult)
    assert_type(pulled.deliveries, tuple[Delivery, ...])
    assert_type((await client.messages.acknowledge("bob", "phone", through_seq=3)).ack_floor, int)
    assert_type((await client.messages.queue("bob", "phone")).queue, Queue)
    async for queue in client.messages.all_queues(only_nonempty=True):
        assert_type(queue.live, int)
    async for letter in client.messages.all_dead_letters("bob", "phone"):
        assert_type(letter, DeadLetter)


def blocking_messages(client: SyncClient) -> None:
    for message in client.messages.receive("bob", "phone"):
        assert_type(message, SyncReceivedMessage)
        message.ack()
    assert_type(client.messages.send("alice", to="bob", text="hi"), SendResult)


async def groups(client: Client) -> None:
    created = assert_type(await client.groups.create("g", "ada", member_ids=("bob",)), GroupResult)
    assert_type(created.group, Group)
    assert_type(await client.groups.update("g", title="x", data=KEEP, actor_id="ada"), GroupResult)
    assert_type((await client.groups.add("g", ["cyd"])).added, int)
    await client.groups.set_role("g", "bob", GroupRole.ADMIN)
    page = assert_type(await client.groups.members("g"), MemberPage)
    assert_type(page.members, tuple[GroupMember, ...])
    async for member in client.groups.all_members("g"):
        assert_type(member.role, GroupRole)
    async for group in client.groups.all_of_user("ada"):
        assert_type(group, UserGroup)


async def leases(client: Client) -> None:
    granted = assert_type(await client.lease.grant(10.0), GrantLeaseResult)
    lease_id = assert_type(granted.lease_id, int)
    assert_type(await client.lease.keep_alive(lease_id), KeepAliveResult)
    found = assert_type(await client.lease.get(lease_id), GetLeaseResult)
    assert_type(found.keys, tuple[bytes, ...] | None)
    page = assert_type(await client.lease.list(), LeasePage)
    assert_type(page.leases, tuple[Lease, ...])
    assert_type(await client.lease.revoke(lease_id), RevokeLeaseResult)
    async with client.lease.hold(10) as held:
        assert_type(held, HeldLease)
        assert_type(held.lease_id, int)


async def recipes(client: Client) -> None:
    async with client.lock("report", ttl_s=5) as lock:
        assert_type(lock, Lock)
        assert_type(lock.fencing_token, int)
        assert_type(lock.lost, asyncio.Event)

    election = assert_type(client.election("scheduler"), Election)
    async with await election.campaign(b"host-3") as leadership:
        assert_type(leadership, Leadership)
        assert_type(leadership.fencing_token, int)
    assert_type(await election.leader(), Leader | None)
    async for leader in election.observe():
        assert_type(leader, Leader | None)

    barrier = assert_type(client.barrier("start"), Barrier)
    assert_type(await barrier.hold(), bool)
    await barrier.release()
    await barrier.wait()


async def cluster(client: Client) -> None:
    status = assert_type(await client.cluster.status(client.endpoints[0]), Status)
    assert_type(status.role, Role)
    assert_type(status.members, tuple[Member, ...])
    assert_type(status.alarms, tuple[Alarm, ...])
    for endpoint, answer in (await client.cluster.status_of_all()).items():
        assert_type(endpoint, str)
        assert_type(answer, Status | KvraftError)


async def errors(client: Client) -> None:
    try:
        await client.kv.get(b"k")
    except InvalidArgument as error:
        assert_type(error.violations, tuple[FieldViolation, ...])
    except ResourceExhausted as error:
        assert_type(error.retry_after_s, float | None)
    except KvraftError as error:
        assert_type(error.reason, str)


async def application() -> None:
    async with Client("127.0.0.1:7001", timeout_s=2) as client:
        assert_type(client, Client)
        await asyncio.gather(
            kv(client),
            txn(client),
            watch(client),
            leases(client),
            recipes(client),
            contacts(client),
            groups(client),
        )
        await asyncio.gather(cluster(client), errors(client))


def synchronous(client: SyncClient) -> None:
    """The blocking methods are made of the others, and lose none of their types."""
    assert_type(client.kv.put(b"k", b"v", lease_id=7), PutResult)
    assert_type(client.kv.get(b"k", consistency=STALE), GetResult)
    assert_type(client.kv.delete(b"k", return_previous=True), DeleteResult)
    assert_type(client.kv.delete_range(USERS), DeleteRangeResult)
    assert_type(client.kv.range(USERS), RangePage)
    assert_type(client.kv.count(USERS), CountResult)
    assert_type(client.kv.stream_range(USERS), SyncIterator[KeyValue])
    assert_type(client.kv.compare_and_set(b"k", b"v", expected_revision=0), CompareAndSetResult)
    assert_type(client.kv.compare_and_delete(b"k", expected_revision=1), CompareAndSetResult)
    assert_type(client.kv.batch_write([Put(b"a", b"1")]), BatchWriteResult)
    assert_type(client.kv.txn(compare=[Compare.version(b"k") == 1], success=[Get(b"k")]), TxnResult)

    changes = assert_type(client.kv.watch(USERS, previous=True), SyncWatch)
    for event in changes:
        assert_type(event, Event)
    for batch in changes.batches():
        assert_type(batch, EventBatch)

    assert_type(client.contacts.all("alice"), SyncIterator[Contact])
    assert_type(client.contacts.sync("alice"), ContactChanges)
    assert_type(client.groups.all_members("g"), SyncIterator[GroupMember])
    assert_type(client.groups.create("g", "ada"), GroupResult)
    assert_type(client.lease.grant(10.0, lease_id=7), GrantLeaseResult)
    assert_type(client.lease.keep_alive(7), KeepAliveResult)
    assert_type(client.lease.get(7), GetLeaseResult)
    assert_type(client.lease.list(), LeasePage)
    assert_type(client.lease.revoke(7), RevokeLeaseResult)
    with client.lease.hold() as held:
        assert_type(held, SyncHeldLease)
        assert_type(held.lost, threading.Event)

    with client.lock("report", ttl_s=5) as lock:
        assert_type(lock, SyncLock)
        assert_type((lock.fencing_token, lock.key), tuple[int, bytes])
    with client.election("scheduler").campaign(b"host-3") as leadership:
        assert_type(leadership, SyncLeadership)
    for leader in client.election("scheduler").observe():
        assert_type(leader, Leader | None)
    assert_type(client.barrier("migration").hold(), bool)

    assert_type(client.sessions.register_device("alice", "phone", label="Phone"), RegisterDeviceResult)
    assert_type(client.sessions.get("alice", "phone", consistency=STALE), GetSessionResult)
    for session in client.sessions.all(7):
        assert_type(session, Session)
    happened = assert_type(client.sessions.watch(user_ids=["alice"]), SyncSessionWatch)
    for session_event in happened:
        assert_type(session_event.kind, SessionEventKind)
    with client.sessions.gateway("10.0.0.7:443") as gateway:
        assert_type(gateway, SyncGateway)
        assert_type(gateway.open("alice", "phone"), Session)

    for line in client.admin.export_user("alice", note="asked"):
        assert_type(line, dict[str, Any])
    erased = assert_type(client.admin.erase_user("alice"), EraseUserResult)
    assert_type(client.admin.erasure(erased.erasure_id), dict[str, Erasure | KvraftError])
    for step in client.admin.check():
        assert_type(step, CheckProgress)
    assert_type(client.admin.audit(), AuditPage)
    for audit_entry in client.admin.all_audit_entries():
        assert_type(audit_entry, AuditEntry)

    assert_type(client.cluster.status(), Status)
    assert_type(client.cluster.status_of_all(), dict[str, Status | KvraftError])


def testing() -> None:
    try:
        with LocalCluster(nodes=3) as local, SyncClient(local.endpoints) as client:
            assert_type(local, LocalCluster)
            assert_type(client, SyncClient)
            leader = assert_type(local.leader(), int)
            local.kill(leader)
            local.start(leader)
            local.pause(leader)
            local.resume(leader)
            assert_type(local.node_ids, list[int])
            assert_type(local.endpoint(leader), str)
            assert_type(local.log(leader), str)
            synchronous(client)
    except LocalClusterError:
        raise
