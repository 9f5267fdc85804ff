"""What applications build on leases, ready made: locks, leader elections and barriers.

Whoever wants a lock or a leadership takes a `place` in a queue: a key of its own, attached to a lease that
is kept alive. The keys of a queue are ordered by the revisions that created them, and the first is the
holder, so the order is fair and the end of a lease, by a release or a crash, makes the next one first.

None of this gives mutual exclusion by itself. A holder that is paused (by its garbage collector, its
machine, its network) loses its lease and may go on as if it had it, until it looks. What protects a
resource is its *fencing token*, the revision of the holder's key, which is greater for each later holder:
send it with every request to the resource, and let the resource refuse a token smaller than one it has
seen. In kvraft itself a transaction or `compare_and_set` takes that part.

Whoever waits watches one key, that of the place before their own. The keys lie in the key-value space, under
`kvraft/lock/`, `kvraft/election/` and `kvraft/barrier/`.
"""

from kvraft.client.recipes.barrier import Barrier
from kvraft.client.recipes.election import Election, Leader, Leadership
from kvraft.client.recipes.lock import Lock

__all__ = ["Barrier", "Election", "Leader", "Leadership", "Lock"]
