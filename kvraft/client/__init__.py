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
`errors`. `stream` reads ranges of any size, `watch` follows changes, `recipes` are locks and elections
on leases, and `sync` wraps it all for code without an event loop.

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

from kvraft.client.client import Client
from kvraft.client.compare import Compare
from kvraft.client.errors import (
    Compacted,
    DeadlineExceeded,
    FieldViolation,
    InternalError,
    InvalidArgument,
    KvraftError,
    LeaseExists,
    LeaseLost,
    LeaseNotFound,
    OutcomeUnknown,
    ResourceExhausted,
    Unavailable,
)
from kvraft.client.held_lease import HeldLease
from kvraft.client.keys import KeyRange
from kvraft.client.lease import (
    GetLeaseResult,
    GrantLeaseResult,
    KeepAliveResult,
    Lease,
    LeasePage,
    RevokeLeaseResult,
)
from kvraft.client.operations import Delete, DeleteRange, Get, Put, Range
from kvraft.client.reading import LINEARIZABLE, STALE, AtLeast, Consistency, Linearizable, Stale
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
from kvraft.client.stream import RangeStream
from kvraft.client.sync import SyncClient, SyncHeldLease, SyncWatch
from kvraft.client.txn import RangeResult, Txn, TxnOperation, TxnOperationResult, TxnResult
from kvraft.client.watch import Event, EventBatch, EventKind, Watch

__all__ = [
    "LINEARIZABLE",
    "STALE",
    "Alarm",
    "AlarmKind",
    "AtLeast",
    "Barrier",
    "BatchWriteResult",
    "Client",
    "Compacted",
    "Compare",
    "CompareAndSetResult",
    "Consistency",
    "CountResult",
    "DeadlineExceeded",
    "Delete",
    "DeleteRange",
    "DeleteRangeResult",
    "DeleteResult",
    "Election",
    "Event",
    "EventBatch",
    "EventKind",
    "FieldViolation",
    "Get",
    "GetLeaseResult",
    "GetResult",
    "GrantLeaseResult",
    "Header",
    "HeldLease",
    "InternalError",
    "InvalidArgument",
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
    "Lock",
    "Member",
    "OutcomeUnknown",
    "Put",
    "PutResult",
    "Range",
    "RangePage",
    "RangeResult",
    "RangeStream",
    "ResourceExhausted",
    "RevokeLeaseResult",
    "Role",
    "Stale",
    "Status",
    "SyncClient",
    "SyncHeldLease",
    "SyncWatch",
    "Txn",
    "TxnOperation",
    "TxnOperationResult",
    "TxnResult",
    "Unavailable",
    "Watch",
]
