"""The library an application imports to use a kvraft cluster.

    async with Client("10.0.0.1:7001,10.0.0.2:7001,10.0.0.3:7001") as client:
        written = await client.kv.put(b"greeting", b"hello")
        answer = await client.kv.get(b"greeting")

    with SyncClient("127.0.0.1:7001") as client:
        client.kv.put(b"greeting", b"hello")

A call flows through four files. `kv` and `cluster` turn arguments into a request of
`kvraft.v1` and the response into the dataclasses of `results`; `failover` carries it to an
endpoint, and to the next one if that is safe; `status` turns a failed attempt into one of
`errors`. `stream` does the same for ranges of any size, and `sync` wraps it all for code
without an event loop.

What a caller may rely on:

- Every call ends within `timeout_s`, with a result or with a `KvraftError`. A stream may take
  as long as it likes, but is never without progress for longer than that.
- `KvraftError.applied` says "no" or "unknown", never a guess.
- Reads are repeated on other endpoints until the deadline. Writes are repeated only after a
  failure that proves that the write was not and will not be applied; otherwise the caller gets
  `OutcomeUnknown` and decides. A write is never sent twice by guessing.
- One endpoint is used for as long as it works, so that a client's reads do not jump between
  nodes that have come differently far.

One client serves any number of concurrent calls; make one per process and event loop, after
any fork.
"""

from kvraft.client.client import Client
from kvraft.client.errors import (
    DeadlineExceeded,
    FieldViolation,
    InternalError,
    InvalidArgument,
    KvraftError,
    OutcomeUnknown,
    ResourceExhausted,
    Unavailable,
)
from kvraft.client.keys import KeyRange
from kvraft.client.operations import Delete, Put
from kvraft.client.reading import LINEARIZABLE, STALE, AtLeast, Consistency, Linearizable, Stale
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
from kvraft.client.sync import SyncClient

__all__ = [
    "LINEARIZABLE",
    "STALE",
    "Alarm",
    "AlarmKind",
    "AtLeast",
    "BatchWriteResult",
    "Client",
    "CompareAndSetResult",
    "Consistency",
    "CountResult",
    "DeadlineExceeded",
    "Delete",
    "DeleteRangeResult",
    "DeleteResult",
    "FieldViolation",
    "GetResult",
    "Header",
    "InternalError",
    "InvalidArgument",
    "KeyRange",
    "KeyValue",
    "KvraftError",
    "Linearizable",
    "Member",
    "OutcomeUnknown",
    "Put",
    "PutResult",
    "RangePage",
    "RangeStream",
    "ResourceExhausted",
    "Role",
    "Stale",
    "Status",
    "SyncClient",
    "Unavailable",
]
