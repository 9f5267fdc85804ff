"""What ids may hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from kvraft.errors import RequestError
from kvraft.rpc.users import checks, contact_requests, group_requests, message_requests, session_requests
from kvraft.v1 import contact_pb2, group_pb2, message_pb2, session_pb2

UNSEEN = [
    "\x00",
    "\x1f",
    "\x7f",
    "\x80",
    "\x9b",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200e",
    "\u2028",
    "\u2029",
    "\ufeff",
]
SEEN = [
    "ann",
    "bj\xf6rn",
    "\u05d0\u05d1",
    "a b",
    "\u0646\u200c\u0647",
    "\U0001f469\u200d\U0001f680",
    "a\\b",
    "\xa0",
]


@pytest.mark.parametrize("letter", UNSEEN, ids=ascii)
def test_a_new_id_holds_nothing_that_cannot_be_seen(letter: str) -> None:
    with pytest.raises(RequestError, match=rf"user_id has the character U\+{ord(letter):04X}"):
        checks.check_new_id("user_id", f"e{letter}ve")


@pytest.mark.parametrize("value", SEEN, ids=ascii)
def test_every_script_and_emoji_may_be_an_id(value: str) -> None:
    checks.check_new_id("user_id", value)
    checks.check_user_id("user_id", value)


BAD = "e\x9b31mve\u202e"
Check = Callable[[Message], None]
NEW: list[tuple[Callable[..., None], Message]] = [
    (session_requests.check_register_device, session_pb2.RegisterDeviceRequest(user_id=BAD, device_id="d")),
    (session_requests.check_register_device, session_pb2.RegisterDeviceRequest(user_id="u", device_id=BAD)),
    (contact_requests.check_block_user, contact_pb2.BlockUserRequest(user_id="u", blocked_id=BAD)),
    (
        contact_requests.check_update_contact,
        contact_pb2.UpdateContactRequest(
            user_id="u", update=contact_pb2.ContactUpdate(contact=contact_pb2.Contact(contact_id=BAD))
        ),
    ),
    (
        group_requests.check_create_group,
        group_pb2.CreateGroupRequest(group=group_pb2.Group(group_id=BAD), owner_id="u"),
    ),
    *(
        (
            message_requests.check_send,
            message_pb2.SendMessageRequest(
                message=message_pb2.Message(**{"message_id": "m", "sender_id": "u", "user_id": "v", **odd})
            ),
        )
        for odd in ({"message_id": BAD}, {"sender_id": BAD}, {"sender_device_id": BAD})
    ),
]


@pytest.mark.parametrize(("check", "request_"), NEW)
def test_where_ids_come_into_being(check: Callable[..., None], request_: Message) -> None:
    with pytest.raises(RequestError, match=r"U\+009B"):
        check(request_)


def test_what_is_stored_can_be_read_and_removed() -> None:
    session_requests.check_device(session_pb2.RemoveDeviceRequest(user_id=BAD, device_id=BAD))
    contact_requests.check_unblock_user(contact_pb2.UnblockUserRequest(user_id="u", blocked_id=BAD))
