"""The data: a deterministic machine that turns committed commands into a state and answers.

    machine.apply(data) -> applied groups      # `machine`: one Raft entry, a CommandBatch
    kv.get(reader, key), kv.scan(...)          # reads of any moment of the state

Every node applies the same entries in the same order and must come to the same rows, byte for
byte, and the same answers: no clock but the leader's stamps, no randomness, no hash order, no
exception that depends on memory or disk. What can fail for a client's reasons is a result; an
exception in `apply` is a bug or a newer format, and stops the node. What is no command in any
format is answered as such, alike everywhere, since no node could ever get past it.

Where things are
    keys        the order-preserving layout of all rows, the only module that knows it
    records     what the rows of the key-value space hold
    results     what commands answer
    kv          the key-value space: its commands and its reads
    machine     batches, the clock, the revision
"""
