"""The loop: one owner, one inbox, turns.

A request comes in (`node`), its command waits with others (`proposals`), a turn (`replica`) gives
them to the leader as one group (`forwarding` if that is another node), the algorithm says what to
write and to send (`pending_write`, `ports`), and when the entry is applied every caller has its
answer in the same turn. Reads go the same way without the log (`reads`).

`replica` and what it is made of are plain synchronous code without clock, threads or network; the
simulator drives it as the node does. Only `node`, `worker` and `disk` know asyncio and threads.

    node           the owner task, group commit, awaitable requests
    replica        a turn from inbox to effects; read this first
    proposals      own clients' commands, and how the log tells their fate
    reads          own clients' reads
    forwarding     what followers ask their leader
    pending_write  several turns' debts to the disk, as one write
    divergence     digests of the state, compared always
    peer_refusals  what peers said that cannot be
    delivery       who receives messages, as the leader remembers it: `attachment`, `delivery_stream`,
                   `acknowledgements`
    queue_waiters  who waits for a message, on any node
    ports          what a replica needs of the world
    disk, worker   the threads that block
"""
