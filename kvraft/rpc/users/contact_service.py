"""ContactService: contacts, what changed in them, and block lists, through any node.

Pages of contacts are read one after the other from a state that goes on. Whichever way they are ordered, what
changes meanwhile is after the revision of the first page, which the token carries to the last one: that is
where the next synchronisation begins, so nothing is missed and little comes twice.
"""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import grpc
from google.protobuf.message import Message

from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import blocks, contacts
from kvraft.machine.users.contacts import Change
from kvraft.machine.users.rows import find_user
from kvraft.node.refusals import request_error
from kvraft.rpc.status import answering_errors
from kvraft.rpc.users import page_tokens
from kvraft.rpc.users.checks import check_page_size, check_user_id
from kvraft.rpc.users.pages import foreign_token, last_id, take
from kvraft.rpc.users.user_service import UserService
from kvraft.storage.interfaces import StateStore
from kvraft.v1 import common_pb2, contact_pb2, contact_pb2_grpc, user_data_pb2

Context = grpc.aio.ServicerContext[Message, Message]

_REVISIONS = struct.Struct(">QQ")
_MAY_BE_OLD = (common_pb2.CONSISTENCY_AT_LEAST, common_pb2.CONSISTENCY_STALE)
"""Reads that are not fresh; but what is new since a revision is known only to who has come that far."""


class ContactServicer(UserService, contact_pb2_grpc.ContactServiceServicer):
    """Serves contacts and block lists of one node."""

    # --- contacts -----------------------------------------------------------------------------

    @answering_errors
    async def UpdateContact(
        self, request: contact_pb2.UpdateContactRequest, _context: Context
    ) -> contact_pb2.UpdateContactResponse:
        response: contact_pb2.UpdateContactResponse = await self._write("update_contact", request)
        return response

    @answering_errors
    async def BatchUpdateContacts(
        self, request: contact_pb2.BatchUpdateContactsRequest, _context: Context
    ) -> contact_pb2.BatchUpdateContactsResponse:
        response: contact_pb2.BatchUpdateContactsResponse = await self._write(
            "batch_update_contacts", request
        )
        return response

    @answering_errors
    async def DeleteContact(
        self, request: contact_pb2.DeleteContactRequest, _context: Context
    ) -> contact_pb2.DeleteContactResponse:
        response: contact_pb2.DeleteContactResponse = await self._write("delete_contact", request)
        return response

    @answering_errors
    async def GetContact(
        self, request: contact_pb2.GetContactRequest, _context: Context
    ) -> contact_pb2.GetContactResponse:
        check_user_id("user_id", request.user_id)
        check_user_id("contact_id", request.contact_id)
        state = await self._fresh(request.consistency, request.min_revision)
        _user(state, request.user_id)
        contact = contacts.find(state, request.user_id, request.contact_id)
        if contact is None:
            raise request_error(Failed(FailureReason.CONTACT_NOT_FOUND))
        return contact_pb2.GetContactResponse(header=self._header(), contact=contact)

    @answering_errors
    async def ListContacts(
        self, request: contact_pb2.ListContactsRequest, _context: Context
    ) -> contact_pb2.ListContactsResponse:
        check_user_id("user_id", request.user_id)
        page_size = check_page_size(request.page_size)
        since = request.since_revision if request.HasField("since_revision") else None
        query = f"ListContacts\0{request.user_id}\0{since}".encode()
        page = page_tokens.decode(query, request.page_token)
        place = _Place.of(page.after)
        known = page.revision
        if request.consistency in _MAY_BE_OLD:
            known = max(known, since or 0)
        state = await self._fresh(request.consistency, request.min_revision, known)
        user = _user(state, request.user_id)
        header = self._header()
        changes: Iterator[Change]
        if since is None:
            every = contacts.scan(state, request.user_id, place.contact_id)
            changes = (Change(0, contact.contact_id, contact) for contact in every)
        else:
            after = max(since, place.revision)
            if since > header.revision:
                raise _resync_required(since, f"which this cluster, at {header.revision}, has not reached")
            # A copy that begins with nothing lacks no deletion.
            floor = contacts.floor_revision(user)
            if since and after < floor:
                raise _resync_required(since, f"and what was deleted up to {floor} may be forgotten")
            changes = contacts.changes_after(state, request.user_id, after, place.contact_id)
        found, more = take(changes, page_size, _size_of)
        response = contact_pb2.ListContactsResponse(
            header=header,
            contacts=[each.contact for each in found if each.contact is not None],
            deleted_ids=[each.contact_id for each in found if each.contact is None],
        )
        sync_revision = place.sync_revision or header.revision
        if more:
            last = _Place(sync_revision, found[-1].revision, found[-1].contact_id)
            response.next_page_token = page_tokens.encode(query, header.revision, last.packed)
        else:
            response.sync_revision = sync_revision
        return response

    # --- blocks -------------------------------------------------------------------------------

    @answering_errors
    async def BlockUser(
        self, request: contact_pb2.BlockUserRequest, _context: Context
    ) -> contact_pb2.BlockUserResponse:
        response: contact_pb2.BlockUserResponse = await self._write("block_user", request)
        return response

    @answering_errors
    async def UnblockUser(
        self, request: contact_pb2.UnblockUserRequest, _context: Context
    ) -> contact_pb2.UnblockUserResponse:
        response: contact_pb2.UnblockUserResponse = await self._write("unblock_user", request)
        return response

    @answering_errors
    async def ListBlockedUsers(
        self, request: contact_pb2.ListBlockedUsersRequest, _context: Context
    ) -> contact_pb2.ListBlockedUsersResponse:
        check_user_id("user_id", request.user_id)
        page_size = check_page_size(request.page_size)
        query = f"ListBlockedUsers\0{request.user_id}".encode()
        page = page_tokens.decode(query, request.page_token)
        after = last_id(page.after)
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        _user(state, request.user_id)
        blocked, more = take(
            blocks.scan(state, request.user_id, after), page_size, contact_pb2.BlockedUser.ByteSize
        )
        response = contact_pb2.ListBlockedUsersResponse(header=self._header(), blocked_users=blocked)
        if more:
            response.next_page_token = page_tokens.encode(
                query, response.header.revision, blocked[-1].user_id.encode()
            )
        return response


class _Place(NamedTuple):
    """Where a further page of contacts begins."""

    sync_revision: int
    """Of the first page."""
    revision: int
    """Of the last change in the page before; 0: by id."""
    contact_id: str
    """The last one in the page before."""

    @classmethod
    def of(cls, after: bytes) -> _Place:
        """From a token; zeros: the first page. Raises RequestError."""
        if not after:
            return cls(0, 0, "")
        contact_id = last_id(after[_REVISIONS.size :])
        if not contact_id:
            raise foreign_token()
        sync_revision, revision = _REVISIONS.unpack_from(after)
        return cls(sync_revision, revision, contact_id)

    @property
    def packed(self) -> bytes:
        return _REVISIONS.pack(self.sync_revision, self.revision) + self.contact_id.encode()


def _user(state: StateStore, user_id: str) -> user_data_pb2.UserRow:
    found = find_user(state, user_id)
    if found is None:
        raise request_error(Failed(FailureReason.USER_NOT_FOUND))
    return found[0]


def _size_of(change: Change) -> int:
    return len(change.contact_id) if change.contact is None else change.contact.ByteSize()


def _resync_required(since_revision: int, why: str) -> RequestError:
    return RequestError(
        Reason.RESYNC_REQUIRED,
        f"changes after revision {since_revision} were asked for, {why}; list all contacts again, and go on "
        "from there",
    )
