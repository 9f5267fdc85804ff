"""kvctl: the command line of a kvraft cluster.

A command line flows through here like this: `root` finds the command and turns whatever goes wrong
into a message and an exit code; a file of `commands` decodes its arguments (`encoding`), calls the
client library (`connection`), and prints the answer as text or as JSON (`output`).

The client library, gRPC and rich are imported where they are first needed, so that help and
completion come at once. docs/kvctl.md is the manual.
"""
