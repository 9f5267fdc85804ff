"""`client.contacts` for code without an event loop."""

from __future__ import annotations

from kvraft.client.contacts import Contacts
from kvraft.client.sync.blocking import Blocking, blocking
from kvraft.client.sync.iterating import blocking_stream


class SyncContacts(Blocking[Contacts]):
    """`client.contacts`: the methods of `Contacts`, blocking."""

    __slots__ = ()

    update = blocking(Contacts.update)
    update_many = blocking(Contacts.update_many)
    get = blocking(Contacts.get)
    delete = blocking(Contacts.delete)
    list = blocking(Contacts.list)
    all = blocking_stream(Contacts.all)
    sync = blocking(Contacts.sync)
    block = blocking(Contacts.block)
    unblock = blocking(Contacts.unblock)
    blocked = blocking(Contacts.blocked)
    all_blocked = blocking_stream(Contacts.all_blocked)
