"""`client.groups` for code without an event loop."""

from __future__ import annotations

from kvraft.client.groups import Groups
from kvraft.client.sync.blocking import Blocking, blocking
from kvraft.client.sync.iterating import blocking_stream


class SyncGroups(Blocking[Groups]):
    """`client.groups`: the methods of `Groups`, blocking."""

    __slots__ = ()

    create = blocking(Groups.create)
    get = blocking(Groups.get)
    update = blocking(Groups.update)
    delete = blocking(Groups.delete)
    add = blocking(Groups.add)
    remove = blocking(Groups.remove)
    set_role = blocking(Groups.set_role)
    members = blocking(Groups.members)
    all_members = blocking_stream(Groups.all_members)
    of_user = blocking(Groups.of_user)
    all_of_user = blocking_stream(Groups.all_of_user)
