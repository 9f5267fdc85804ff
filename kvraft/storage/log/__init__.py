"""The Raft log on disk: append-only segment files, one record and one synchronous write each.

segmented_log   the door: append, read, compact; read this first
segment         one file, and where in it the entries are
record          the frame around every record: checksums, chain, what a torn one looks like
contents        what is inside the frames
held            what the records, read in order, amount to
recovery        reading everything back, and telling a torn tail from corruption
spares          files made ready ahead, and files no longer needed
"""

from kvraft.storage.log.recovery import read_identity
from kvraft.storage.log.segmented_log import SegmentedLog

__all__ = ["SegmentedLog", "read_identity"]
