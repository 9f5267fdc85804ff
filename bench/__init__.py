"""Load generators and the comparison with peers: `make bench`.

Everything is measured in one run on one machine, so that what counts are ratios: kvraft against a
bare gRPC echo in the same Python, and against etcd where its binary is installed. Every number says
how many callers, how large the values, and what was fsynced.
"""
