"""kvraft: a replicated store for messaging back ends.

Read on in the packages' docstrings, which are the book: `kvraft.raft` (the
algorithm), `kvraft.storage` (the disk), `kvraft.machine` (the data),
`kvraft.node` (the loop), `kvraft.rpc` (the wire), `kvraft.client` (the library).
"""

from kvraft.version import __version__

__all__ = ["__version__"]
