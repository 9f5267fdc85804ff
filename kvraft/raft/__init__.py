"""The algorithm: Raft (Ongaro and Ousterhout, 2014; Ongaro's dissertation) as a pure machine.

It knows no clock, no randomness, no network, no disk and no threads. What happens to a node
is told to it, one event at a time; what it owes the world is collected in between:

    raft.step(event, now_ms)       # mutates, returns nothing (`events`)
    ready = raft.take_ready()      # everything owed since the last call (`ready`)

Stepping many events and draining once is what makes batches: a hundred proposals that came
together are one write of the log and one AppendEntries per follower. `raft.deadline_ms` says
when to step `TimePassed`; there is no tick.

Where things are
    types, configuration, messages   the nouns of figure 2 and what nodes say to each other
    events, ready                    what goes in, what comes out, and in which order it must be done
    log, progress, roles, state      what a node knows; a role's data lives and dies with the role
    claims                           what a message may claim: asked before any rule believes it
    election                         5.2, 5.4.1, pre-vote (dissertation 9.6)
    replication                      5.3, 5.4.2, the leader's check of its own majority (6.2)
    reading                          linearizable reads without the log (dissertation 6.4)
    snapshotting                     section 7; the state itself never passes through here
    transfer                         handing over leadership (dissertation 3.10)
    raft                             the door: decides which rule an event belongs to
    invariants                       what must hold after every step, for tests and simulations

Beyond the paper
    A leader replicates while its own disk still writes, and counts itself only afterwards
    (10.2.1). Heartbeats are messages of their own, answered without waiting for the disk, and
    carry no more of the commit index than the follower is known to hold. Entries are applied
    only once they are durable on the node itself, so that its state is never ahead of its log.
    Refusals carry a hint that makes one probe per term enough. Commit indexes travel with the
    next entries or heartbeat, or at once to a follower that has said it waits (`CommitWanted`) or that
    somebody follows what it applies (`HeartbeatResponse.follows_commits`).

What is not done
    Reads by the leader's clock: a pause or a jump breaks them. Membership changes while running:
    the configuration is data already (`configuration`), changing it comes later. Deduplication of
    client commands: that is the state machine's (dissertation 6.3).
"""
