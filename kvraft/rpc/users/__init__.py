"""The services of user data: sessions, contacts, groups, messages, and users as a whole.

    request -> `*_requests` checks it against its proto -> `user_requests` makes it a command of the log
    -> the node -> the response of the machine, which gets its header in `user_service`

Reads look at the state of the node, as fresh as they were asked to be.
"""
