"""The disk: what a node must never forget, in two parts that fail differently.

The *log* (`log`) is the durability. It holds term and vote, every entry that may still be needed, and
which received snapshot became the state. Nothing that depends on a write leaves the node before
that write is on disk. The *state* (`state`) is what the entries amount to: rows in a table in memory
over LMDB, written every couple of seconds with the index they stand for. It may lag behind; the log
makes up for it. `interfaces` says what the rest of the node may ask of either; `memory_log` does it
without a disk, for simulations. All of it is plain synchronous code; the node gives it threads.

What lies where

    <data directory>/                private: directories 0700, files 0600
        LOCK                         flock'ed by the one process that uses it; holds its pid
        FORMAT                       version of the whole; a newer one is refused
        log/
            0000000000000001.log     segments of 64 MiB, zero-filled beforehand; the name is the
            000000000000a3f1.log     sequence number of its first record in hexadecimal
            spare.tmp, next.tmp      files being made ready; deleted when the log is opened
        state/00000001/              one directory per generation: a received snapshot is a new one
            data.mdb                 LMDB: the rows
            history/00000001.blocks  what changed, for watches; goes file by file

How a write reaches the disk

1. What several turns of the loop owe the disk becomes one `LogWrite`: perhaps an installed snapshot,
   perhaps term and vote, and entries, in this order.
2. It becomes one record (`log.contents`, `log.record`): header, contents, checksums, and a chain, a hash
   over the record before and this one.
3. One synchronous pwrite at the end of the active segment, past the page cache (`direct_file`). The
   file's blocks have been written before, as zeros, so no metadata follows. The next write starts only
   afterwards; hence a valid record proves that every earlier one was durable.
4. A segment that is full is followed by a spare, made ready in the background. Its first record repeats
   identity, term and vote, installed snapshot and last entry, so that older segments can be dropped
   when the state is durable beyond them; they are filled with zeros again and reused.

What recovery does

1. `data_directory` takes the lock and checks the format.
2. `log.recovery` reads all segments in order and checks every byte against checksum, sequence number and
   chain. A record that a power cut left unfinished at the very end was promised to nobody: it is cut
   off and reported. Anything else that is not as it was written is corruption: the node refuses to
   start, changes nothing, and says where and how to re-seed it from the other nodes. A later write of an
   index overrides an earlier one, as it did when it was written.
3. The state of the generation that the log names is opened, and the log is replayed from the index it
   was flushed at.

What is fatal: any error while a record is written or synced, since what then is on disk is unknown and
a second fsync may lie; the log takes no more writes. A full disk while a spare is made ready is not: it is
tried again, and a node refuses growth long before (`DataDirectory.free_bytes`).
"""
