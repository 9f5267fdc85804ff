"""User data: devices, sessions, contacts, groups and message queues, as rows and commands.

    commands.apply(space, command) -> the response of the command, or Failed

A command is the request of its RPC (`user_data.proto`), checked where it came in; its answer is the response
without a header. Each command belongs to one user or one group, and touches nothing of others but the queues
and groups that it names; rows are spread over virtual shards by their owner (`keys`), so that one day shards
can move between clusters.

Where things are
    keys        where each row lies
    space       the rows under one command: what is written and touched
    commands    from a command to the function that does it
    rows        users and queues as they are read and written
    devices, sessions, contacts, blocks, groups, ...     one noun each: its commands and its reads

A command looks before it writes: it either fails without having changed a row, or does everything it is for.
"""
