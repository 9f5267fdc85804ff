"""Contacts and block lists of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kvraft.client.arguments import checked
from kvraft.client.failover import Failover
from kvraft.client.keep import KEEP, Keep
from kvraft.client.listing import PAGE_SIZE, Listing
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.results import Header
from kvraft.client.user_data import write
from kvraft.v1 import contact_pb2

_GET = Method("/kvraft.v1.ContactService/GetContact", contact_pb2.GetContactResponse.FromString)
_LIST = Method("/kvraft.v1.ContactService/ListContacts", contact_pb2.ListContactsResponse.FromString)
_LIST_BLOCKED = Method(
    "/kvraft.v1.ContactService/ListBlockedUsers", contact_pb2.ListBlockedUsersResponse.FromString
)


@dataclass(frozen=True, slots=True)
class Contact:
    """An entry of a user's address book."""

    contact_id: str
    display_name: str
    """What the owner calls them."""
    favorite: bool
    mute_until: datetime | None
    """No notifications until then; None: not muted."""
    data: bytes
    """Opaque, for the application."""
    etag: str
    """Names this state of the contact."""
    mod_revision: int
    """The revision that last changed it."""

    @classmethod
    def of(cls, message: contact_pb2.Contact) -> Contact:
        muted = message.HasField("mute_until")
        return cls(
            message.contact_id,
            message.display_name,
            message.favorite,
            message.mute_until.ToDatetime(UTC) if muted else None,
            message.data,
            message.etag,
            message.mod_revision,
        )


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class ContactUpdate:
    """What to set of a contact, which is created if it does not exist; at least one field. What is not given
    stays as it is."""

    contact_id: str
    """Who: 1 to 64 bytes, no control characters. Need not be a user of the cluster."""
    display_name: str | Keep = KEEP
    """At most 256 bytes."""
    favorite: bool | Keep = KEEP
    mute_until: datetime | Keep | None = KEEP
    """With a time zone; None: not muted any more."""
    data: bytes | Keep = KEEP
    """At most 4,096 bytes."""
    etag: str = ""
    """If given: the contact's present etag; "0": it must not exist."""

    def to_message(self) -> contact_pb2.ContactUpdate:
        """Raises ValueError."""
        message = contact_pb2.ContactUpdate(contact={"contact_id": self.contact_id}, etag=self.etag)
        for field in ("display_name", "favorite", "data"):
            value = getattr(self, field)
            if value is not KEEP:
                setattr(message.contact, field, value)
                message.update_mask.paths.append(field)
        if self.mute_until is not KEEP:
            message.update_mask.paths.append("mute_until")
            if self.mute_until is not None:
                if self.mute_until.tzinfo is None:
                    raise ValueError(f"mute_until of contact {self.contact_id!r} has no time zone")
                message.contact.mute_until.FromDatetime(self.mute_until)
        if not message.update_mask.paths:
            raise ValueError(f"nothing is to be set of contact {self.contact_id!r}")
        return message


class BlockScope(StrEnum):
    """What is blocked."""

    DIRECT = "direct"
    """Messages to the user."""
    DIRECT_AND_GROUPS = "direct-and-groups"
    """Also what the blocked user sends to groups that both are in."""


_SCOPES = {
    BlockScope.DIRECT: contact_pb2.BLOCK_SCOPE_DIRECT,
    BlockScope.DIRECT_AND_GROUPS: contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS,
}
_SCOPE_OF = {number: scope for scope, number in _SCOPES.items()}


@dataclass(frozen=True, slots=True)
class BlockedUser:
    user_id: str
    scope: BlockScope
    block_time: datetime
    """Since when, by the cluster's clock."""

    @classmethod
    def of(cls, message: contact_pb2.BlockedUser) -> BlockedUser:
        return cls(message.user_id, _SCOPE_OF[message.scope], message.block_time.ToDatetime(UTC))


@dataclass(frozen=True, slots=True)
class UpdateContactResult:
    header: Header
    contact: Contact
    """As it is now."""


@dataclass(frozen=True, slots=True)
class UpdateContactsResult:
    header: Header
    etag: str
    """What all of them have now."""


@dataclass(frozen=True, slots=True)
class GetContactResult:
    header: Header
    contact: Contact


@dataclass(frozen=True, slots=True)
class DeleteContactResult:
    header: Header
    deleted: bool
    """Whether it existed."""


@dataclass(frozen=True, slots=True)
class ContactPage:
    header: Header
    contacts: tuple[Contact, ...]
    """By id."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class ContactChanges:
    """What brings a copy of a user's contacts up to date."""

    header: Header
    changed: tuple[Contact, ...]
    """Contacts that are new or other than they were, by the revision that changed them."""
    deleted: tuple[str, ...]
    """Ids of contacts that are gone; the copy need not have had them."""
    revision: int
    """What to give as `since` the next time."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    header: Header
    """`revision` is the one from which on it is in effect."""


@dataclass(frozen=True, slots=True)
class UnblockResult:
    header: Header
    unblocked: bool
    """Whether there was a block."""


@dataclass(frozen=True, slots=True)
class BlockedPage:
    header: Header
    blocked: tuple[BlockedUser, ...]
    """By id."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@checked
class Contacts:
    """`client.contacts`. Every method raises KvraftError; NotFound where there is no such user: nobody has
    registered a device for them."""

    __slots__ = ("_failover", "_pipeline")

    def __init__(self, failover: Failover, pipeline: Pipeline) -> None:
        self._failover = failover
        self._pipeline = pipeline

    async def update(self, user_id: str, update: ContactUpdate) -> UpdateContactResult:
        """Creates or changes a contact. Raises Aborted if its etag is another than the one given,
        ResourceExhausted if the user would have more than 10,000 contacts, and ValueError."""
        request = contact_pb2.UpdateContactRequest(user_id=user_id, update=update.to_message())
        header, response = await write(self._pipeline, "update_contact", request)
        return UpdateContactResult(header, Contact.of(response.contact))

    async def update_many(self, user_id: str, updates: Sequence[ContactUpdate]) -> UpdateContactsResult:
        """The same with 1 to 500 different contacts, as one revision: all of them or none."""
        request = contact_pb2.BatchUpdateContactsRequest(
            user_id=user_id, updates=[update.to_message() for update in updates]
        )
        header, response = await write(self._pipeline, "batch_update_contacts", request)
        return UpdateContactsResult(header, response.etag)

    async def get(
        self, user_id: str, contact_id: str, *, consistency: Consistency = LINEARIZABLE
    ) -> GetContactResult:
        """Reads a contact. Raises NotFound."""
        level, min_revision = consistency_fields(consistency)
        request = contact_pb2.GetContactRequest(
            user_id=user_id, contact_id=contact_id, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_GET, request)
        return GetContactResult(Header.of(response.header), Contact.of(response.contact))

    async def delete(self, user_id: str, contact_id: str, *, etag: str = "") -> DeleteContactResult:
        """Deletes a contact, if it exists. Raises Aborted if its etag is another than the one given."""
        request = contact_pb2.DeleteContactRequest(user_id=user_id, contact_id=contact_id, etag=etag)
        header, response = await write(self._pipeline, "delete_contact", request)
        return DeleteContactResult(header, response.deleted)

    async def list(
        self,
        user_id: str,
        *,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> ContactPage:
        """Reads one page of contacts by id: at most `page_size` (1 to 1,000). For the next one give its
        `next_page_token`."""
        level, min_revision = consistency_fields(consistency)
        request = contact_pb2.ListContactsRequest(
            user_id=user_id,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_LIST, request)
        return ContactPage(
            Header.of(response.header), tuple(map(Contact.of, response.contacts)), response.next_page_token
        )

    def all(self, user_id: str, *, consistency: Consistency = LINEARIZABLE) -> Listing[Contact]:
        """All contacts of a user by id: `async for contact in client.contacts.all("alice")`."""

        async def read(token: str) -> tuple[tuple[Contact, ...], str]:
            page = await self.list(user_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency)
            return page.contacts, page.next_page_token

        return Listing(read)

    async def sync(
        self, user_id: str, since: int = 0, *, consistency: Consistency = LINEARIZABLE
    ) -> ContactChanges:
        """Reads what brings a copy of a user's contacts up to date that is as of revision `since`, the
        `revision` of the last synchronisation; 0: the copy is empty. Raises OutOfRange (RESYNC_REQUIRED) if
        the copy is too old: begin again with an empty one."""
        level, min_revision = consistency_fields(consistency)
        request = contact_pb2.ListContactsRequest(
            user_id=user_id,
            since_revision=since,
            page_size=PAGE_SIZE,
            consistency=level,
            min_revision=min_revision,
        )
        latest: dict[str, Contact | None] = {}
        while True:
            response = await self._failover.call(_LIST, request)
            # A contact that changed since the page before comes again; what comes last holds.
            for message in response.contacts:
                latest.pop(message.contact_id, None)
                latest[message.contact_id] = Contact.of(message)
            for contact_id in response.deleted_ids:
                latest[contact_id] = None
            request.page_token = response.next_page_token
            if not request.page_token:
                break
        return ContactChanges(
            Header.of(response.header),
            tuple([contact for contact in latest.values() if contact is not None]),
            tuple([contact_id for contact_id, contact in latest.items() if contact is None]),
            response.sync_revision,
        )

    async def block(
        self, user_id: str, blocked_id: str, *, scope: BlockScope = BlockScope.DIRECT
    ) -> BlockResult:
        """Blocks somebody, who cannot tell, or changes what of them is blocked. Raises ResourceExhausted if
        the user would have blocked more than 10,000."""
        request = contact_pb2.BlockUserRequest(user_id=user_id, blocked_id=blocked_id, scope=_SCOPES[scope])
        header, _ = await write(self._pipeline, "block_user", request)
        return BlockResult(header)

    async def unblock(self, user_id: str, blocked_id: str) -> UnblockResult:
        """Ends a block, if there is one."""
        request = contact_pb2.UnblockUserRequest(user_id=user_id, blocked_id=blocked_id)
        header, response = await write(self._pipeline, "unblock_user", request)
        return UnblockResult(header, response.unblocked)

    async def blocked(
        self,
        user_id: str,
        *,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> BlockedPage:
        """Reads one page of whom a user has blocked, by id, as `list` does."""
        level, min_revision = consistency_fields(consistency)
        request = contact_pb2.ListBlockedUsersRequest(
            user_id=user_id,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_LIST_BLOCKED, request)
        return BlockedPage(
            Header.of(response.header),
            tuple(map(BlockedUser.of, response.blocked_users)),
            response.next_page_token,
        )

    def all_blocked(self, user_id: str, *, consistency: Consistency = LINEARIZABLE) -> Listing[BlockedUser]:
        """All whom a user has blocked, by id."""

        async def read(token: str) -> tuple[tuple[BlockedUser, ...], str]:
            page = await self.blocked(user_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency)
            return page.blocked, page.next_page_token

        return Listing(read)
