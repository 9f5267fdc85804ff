"""The state: ordered rows, in memory first and in LMDB a little later.

Applied changes go into an ordered table in memory (`tables`). Every couple of seconds, or when it is
large, the table is frozen and a background thread writes it into LMDB (`lmdb_engine`) in one
transaction *together with the applied index it stands for*. The log is what makes writes durable, so
applying costs no wait for the disk; after a crash the node replays the log from the index that LMDB
holds. Reads look into the active table, the frozen ones, then LMDB; scans merge them (`store`).

LMDB at its flushed index is the snapshot: no second copy is kept. A view of one moment is the frozen
tables and a read transaction, and may be read in chunks while the node goes on (`store`). A state that
is received from the leader is built beside the present one (`generations`). What changed is kept for watches
(`history`), in files beside LMDB (`block_files`). A deleted row leaves its bytes in
free pages of the file; after an erasure the state is therefore copied into new files (`rewrite`).

LMDB does not notice a flipped bit, so every stored value carries a checksum, and the sum of all row
hashes is kept as a digest of the whole, which the nodes compare (`digest`).
"""

from kvraft.storage.state.generations import (
    FIRST_GENERATION,
    discard_state,
    discard_superseded,
    open_received,
    open_state,
    receive_state,
    state_beside,
)
from kvraft.storage.state.memory_engine import MemoryEngine
from kvraft.storage.state.rewrite import RewriteTarget
from kvraft.storage.state.store import LayeredState

__all__ = [
    "FIRST_GENERATION",
    "LayeredState",
    "MemoryEngine",
    "RewriteTarget",
    "discard_state",
    "discard_superseded",
    "open_received",
    "open_state",
    "receive_state",
    "state_beside",
]
