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
for code without an event loop.

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

from kvraft.client.admin import (
    AuditAction,
    AuditEntry,
    AuditPage,
    CheckProgress,
    EraseUserResult,
    Erasure,
    Finding,
    StateCheck,
    UserExport,
)
from kvraft.client.client import Client
from kvraft.client.compare import Compare
from kvraft.client.contacts import (
    BlockedPage,
    BlockedUser,
    BlockResult,
    BlockScope,
    Contact,
    ContactChanges,
    ContactPage,
    ContactUpdate,
    DeleteContactResult,
    GetContactResult,
    UnblockResult,
    UpdateContactResult,
    UpdateContactsResult,
)
from kvraft.client.errors import (
    Aborted,
    AlreadyExists,
    ClientClosed,
    Compacted,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidArgument,
    KvraftError,
    LeaseExists,
    LeaseLost,
    LeaseNotFound,
    NotFound,
    OutcomeUnknown,
    OutOfRange,
    PermissionDenied,
    RefusedError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from kvraft.client.gateway import Gateway
from kvraft.client.groups import (
    AddMembersResult,
    DeleteGroupResult,
    Group,
    GroupMember,
    GroupResult,
    GroupRole,
    MemberPage,
    RemoveMembersResult,
    SetRoleResult,
    UserGroup,
    UserGroupPage,
)
from kvraft.client.held_lease import HeldLease
from kvraft.client.keep import KEEP, Keep
from kvraft.client.keys import KeyRange
from kvraft.client.lease import (
    GetLeaseResult,
    GrantLeaseResult,
    KeepAliveResult,
    Lease,
    LeasePage,
    RevokeLeaseResult,
)
from kvraft.client.listing import Listing
from kvraft.client.message import ContentType, Delivery, Media, Message, OutgoingMessage, Receipt
from kvraft.client.message_results import (
    AcknowledgeResult,
    DeadLetter,
    DeadLetterPage,
    DeleteDeadLettersResult,
    DeviceResult,
    PullResult,
    PurgeQueueResult,
    Queue,
    QueuePage,
    QueueResult,
    RedriveResult,
    SendOutcome,
    SendResult,
)
from kvraft.client.operations import Delete, DeleteRange, Get, Put, Range
from kvraft.client.reading import LINEARIZABLE, STALE, AtLeast, Consistency, Linearizable, Stale
from kvraft.client.receiver import ReceivedMessage, Receiver
from kvraft.client.recipes import Barrier, Election, Leader, Leadership, Lock
from kvraft.client.results import (
    Alarm,
    AlarmKind,
    BatchWriteResult,
    CompareAndSetResult,
    CountResult,
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    Header,
    KeyValue,
    Member,
    PutResult,
    RangePage,
    Role,
    Status,
)
from kvraft.client.session_results import (
    CloseSessionResult,
    Device,
    DeviceList,
    GetSessionResult,
    OpenMode,
    OpenSessionResult,
    Presence,
    PresenceResult,
    RegisterDeviceResult,
    RemoveDeviceResult,
    RevokeSessionsResult,
    Session,
    SessionPage,
)
from kvraft.client.session_watch import SessionEvent, SessionEventBatch, SessionEventKind, SessionWatch
from kvraft.client.stream import RangeStream
from kvraft.client.sync import (
    SyncClient,
    SyncGateway,
    SyncHeldLease,
    SyncReceivedMessage,
    SyncReceiver,
    SyncSessionWatch,
    SyncWatch,
)
from kvraft.client.txn import RangeResult, Txn, TxnOperation, TxnOperationResult, TxnResult
from kvraft.client.watch import Event, EventBatch, EventKind, Watch

__all__ = [
    "KEEP",
    "LINEARIZABLE",
    "STALE",
    "Aborted",
    "AcknowledgeResult",
    "AddMembersResult",
    "Alarm",
    "AlarmKind",
    "AlreadyExists",
    "AtLeast",
    "AuditAction",
    "AuditEntry",
    "AuditPage",
    "Barrier",
    "BatchWriteResult",
    "BlockResult",
    "BlockScope",
    "BlockedPage",
    "BlockedUser",
    "CheckProgress",
    "Client",
    "ClientClosed",
    "CloseSessionResult",
    "Compacted",
    "Compare",
    "CompareAndSetResult",
    "Consistency",
    "Contact",
    "ContactChanges",
    "ContactPage",
    "ContactUpdate",
    "ContentType",
    "CountResult",
    "DeadLetter",
    "DeadLetterPage",
    "DeadlineExceeded",
    "Delete",
    "DeleteContactResult",
    "DeleteDeadLettersResult",
    "DeleteGroupResult",
    "DeleteRange",
    "DeleteRangeResult",
    "DeleteResult",
    "Delivery",
    "Device",
    "DeviceList",
    "DeviceResult",
    "Election",
    "EraseUserResult",
    "Erasure",
    "Event",
    "EventBatch",
    "EventKind",
    "FailedPrecondition",
    "FieldViolation",
    "Finding",
    "Gateway",
    "Get",
    "GetContactResult",
    "GetLeaseResult",
    "GetResult",
    "GetSessionResult",
    "GrantLeaseResult",
    "Group",
    "GroupMember",
    "GroupResult",
    "GroupRole",
    "Header",
    "HeldLease",
    "InternalError",
    "InvalidArgument",
    "Keep",
    "KeepAliveResult",
    "KeyRange",
    "KeyValue",
    "KvraftError",
    "Leader",
    "Leadership",
    "Lease",
    "LeaseExists",
    "LeaseLost",
    "LeaseNotFound",
    "LeasePage",
    "Linearizable",
    "Listing",
    "Lock",
    "Media",
    "Member",
    "MemberPage",
    "Message",
    "NotFound",
    "OpenMode",
    "OpenSessionResult",
    "OutOfRange",
    "OutcomeUnknown",
    "OutgoingMessage",
    "PermissionDenied",
    "Presence",
    "PresenceResult",
    "PullResult",
    "PurgeQueueResult",
    "Put",
    "PutResult",
    "Queue",
    "QueuePage",
    "QueueResult",
    "Range",
    "RangePage",
    "RangeResult",
    "RangeStream",
    "Receipt",
    "ReceivedMessage",
    "Receiver",
    "RedriveResult",
    "RefusedError",
    "RegisterDeviceResult",
    "RemoveDeviceResult",
    "RemoveMembersResult",
    "ResourceExhausted",
    "RevokeLeaseResult",
    "RevokeSessionsResult",
    "Role",
    "SendOutcome",
    "SendResult",
    "Session",
    "SessionEvent",
    "SessionEventBatch",
    "SessionEventKind",
    "SessionPage",
    "SessionWatch",
    "SetRoleResult",
    "Stale",
    "StateCheck",
    "Status",
    "SyncClient",
    "SyncGateway",
    "SyncHeldLease",
    "SyncReceivedMessage",
    "SyncReceiver",
    "SyncSessionWatch",
    "SyncWatch",
    "Txn",
    "TxnOperation",
    "TxnOperationResult",
    "TxnResult",
    "Unauthenticated",
    "Unavailable",
    "UnblockResult",
    "UpdateContactResult",
    "UpdateContactsResult",
    "UserExport",
    "UserGroup",
    "UserGroupPage",
    "Watch",
]
