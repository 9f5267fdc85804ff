"""The library an application imports to use a kvraft cluster.

    async with Client("10.0.0.1:7001,10.0.0.2:7001,10.0.0.3:7001") as client:
        written = await client.kv.put(b"greeting", b"hello")
        answer = await client.kv.get(b"greeting")

    with SyncClient("127.0.0.1:7001") as client:
        client.kv.put(b"greeting", b"hello")

A call flows through a few files. `kv` turns arguments into a message of `kvraft.v1` and the answer into
the dataclasses of `results`; `pipeline` sends it together with others, as part of one of the `batches`.
What is no single command or key (ranges, leases, the status) takes a call of its own: `failover` carries
it to an endpoint, and to the next one if that is safe. `status` turns a failed attempt into one of
`errors`. `stream` reads ranges of any size, `watch` and `session_watch` follow changes (`following`),
`recipes` are locks and elections on leases, a `gateway` is one lease with many sessions, a `receiver` hands
out the messages of a device, all of a client over one `receive_stream` to the leader, and `sync` wraps it all
for code without an event loop. A module is imported with the first use of what it has (`lazily`).

What a caller may rely on:

- Every call ends within `timeout_s`, with a result or with a `KvraftError`. A stream may take
  as long as it likes, but is never without progress for longer than that.
- `KvraftError.applied` says "no" or "unknown", never a guess.
- Reads and writes are repeated, here or at another endpoint, until the deadline. Writes are numbered
  (`session`), so however often one is sent, it is applied once. `OutcomeUnknown` is left for a write that
  was sent and got no answer before its deadline.
- Calls that run at the same time travel together (`pipeline`): call concurrently, and do not batch.
- One endpoint is used for as long as it works, the leader if it is among them, so that a client's reads
  do not jump between nodes that have come differently far.

One client serves any number of concurrent calls; make one per process and event loop, after
any fork.
"""

from __future__ import annotations

import importlib
import os

# Before gRPC is imported, which reads it then: its own handlers of forks end children by SIGSEGV, and without
# them nothing of gRPC runs in a child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

_NAMES = {
    "admin": (
        "AuditAction",
        "AuditEntry",
        "AuditPage",
        "CheckProgress",
        "EraseUserResult",
        "Erasure",
        "Finding",
        "StateCheck",
        "UserExport",
    ),
    "client": ("Client",),
    "cluster_results": (
        "Alarm",
        "AlarmKind",
        "Member",
        "Role",
        "Status",
    ),
    "compare": ("Compare",),
    "contacts": (
        "BlockedPage",
        "BlockedUser",
        "BlockResult",
        "BlockScope",
        "Contact",
        "ContactChanges",
        "ContactPage",
        "ContactUpdate",
        "DeleteContactResult",
        "GetContactResult",
        "UnblockResult",
        "UpdateContactResult",
        "UpdateContactsResult",
    ),
    "errors": (
        "Aborted",
        "AlreadyExists",
        "ClientClosed",
        "Compacted",
        "DeadlineExceeded",
        "FailedPrecondition",
        "FieldViolation",
        "InternalError",
        "InvalidArgument",
        "KvraftError",
        "LeaseExists",
        "LeaseLost",
        "LeaseNotFound",
        "NotFound",
        "OutcomeUnknown",
        "OutOfRange",
        "PermissionDenied",
        "RefusedError",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
    ),
    "gateway": ("Gateway",),
    "groups": (
        "AddMembersResult",
        "DeleteGroupResult",
        "Group",
        "GroupMember",
        "GroupResult",
        "GroupRole",
        "MemberPage",
        "RemoveMembersResult",
        "SetRoleResult",
        "UserGroup",
        "UserGroupPage",
    ),
    "held_lease": ("HeldLease",),
    "keep": (
        "KEEP",
        "Keep",
    ),
    "keys": ("KeyRange",),
    "kv_results": (
        "BatchWriteResult",
        "CompareAndSetResult",
        "CountResult",
        "DeleteRangeResult",
        "DeleteResult",
        "RangePage",
    ),
    "lease": (
        "GetLeaseResult",
        "GrantLeaseResult",
        "KeepAliveResult",
        "Lease",
        "LeasePage",
        "RevokeLeaseResult",
    ),
    "listing": ("Listing",),
    "message": (
        "ContentType",
        "Delivery",
        "Media",
        "Message",
        "OutgoingMessage",
        "Receipt",
    ),
    "message_results": (
        "AcknowledgeResult",
        "DeadLetter",
        "DeadLetterPage",
        "DeleteDeadLettersResult",
        "DeviceResult",
        "PullResult",
        "PurgeQueueResult",
        "Queue",
        "QueuePage",
        "QueueResult",
        "RedriveResult",
        "SendOutcome",
        "SendResult",
    ),
    "operations": (
        "Delete",
        "DeleteRange",
        "Get",
        "Put",
        "Range",
    ),
    "reading": (
        "LINEARIZABLE",
        "STALE",
        "AtLeast",
        "Consistency",
        "Linearizable",
        "Stale",
    ),
    "receiver": (
        "ReceivedMessage",
        "Receiver",
    ),
    "recipes.barrier": ("Barrier",),
    "recipes.election": (
        "Election",
        "Leader",
        "Leadership",
    ),
    "recipes.lock": ("Lock",),
    "results": (
        "GetResult",
        "Header",
        "KeyValue",
        "PutResult",
    ),
    "session_results": (
        "CloseSessionResult",
        "Device",
        "DeviceList",
        "GetSessionResult",
        "OpenMode",
        "OpenSessionResult",
        "Presence",
        "PresenceResult",
        "RegisterDeviceResult",
        "RemoveDeviceResult",
        "RevokeSessionsResult",
        "Session",
        "SessionPage",
    ),
    "session_watch": (
        "SessionEvent",
        "SessionEventBatch",
        "SessionEventKind",
        "SessionWatch",
    ),
    "stream": ("RangeStream",),
    "sync.client": ("SyncClient",),
    "sync.iterating": ("SyncIterator",),
    "sync.lease": ("SyncHeldLease",),
    "sync.recipes": ("SyncBarrier", "SyncElection", "SyncLeadership", "SyncLock"),
    "sync.messages": (
        "SyncReceivedMessage",
        "SyncReceiver",
    ),
    "sync.sessions": (
        "SyncGateway",
        "SyncSessionWatch",
    ),
    "sync.watch": ("SyncWatch",),
    "txn": (
        "RangeResult",
        "Txn",
        "TxnOperation",
        "TxnOperationResult",
        "TxnResult",
    ),
    "watch": (
        "Event",
        "EventBatch",
        "EventKind",
        "Watch",
    ),
}
"""What each module exports here. It is imported when one of its names is first asked for, so that a program
waits only for what it uses. (`__init__.pyi` says the same to type checkers.)"""
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - `__init__.pyi` has the list


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
