"""`client.admin` for code without an event loop."""

from __future__ import annotations

from kvraft.client.admin import Admin
from kvraft.client.sync.blocking import Blocking, blocking
from kvraft.client.sync.iterating import blocking_stream


class SyncAdmin(Blocking[Admin]):
    """`client.admin`: the methods of `Admin`, blocking."""

    __slots__ = ()

    export_user = blocking_stream(Admin.export_user)
    erase_user = blocking(Admin.erase_user)
    erasure = blocking(Admin.erasure)
    check = blocking_stream(Admin.check)
    audit = blocking(Admin.audit)
    all_audit_entries = blocking_stream(Admin.all_audit_entries)
