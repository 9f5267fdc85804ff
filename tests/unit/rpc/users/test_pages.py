"""Pages and the tokens of the next one."""

from __future__ import annotations

import pytest

from kvraft.errors import RequestError
from kvraft.rpc.users import page_tokens
from kvraft.rpc.users.contact_service import _Place
from kvraft.rpc.users.pages import PAGE_BYTES_MAX, last_id, take


def test_a_page_ends_with_its_size_or_its_bytes() -> None:
    assert take(iter([b"a", b"b"]), 2, len) == ([b"a", b"b"], False)
    assert take(iter([b"a", b"b", b"c"]), 2, len) == ([b"a", b"b"], True)
    assert take(iter([]), 2, len) == ([], False)
    half, large = b"x" * (PAGE_BYTES_MAX // 2), b"x" * (PAGE_BYTES_MAX + 1)
    assert take(iter([half, half]), 9, len) == ([half, half], False)
    assert take(iter([half, half, b"x"]), 9, len) == ([half, half], True)
    assert take(iter([large, b"x"]), 9, len) == ([large], True)


@pytest.mark.parametrize("part", [b"x" * 65, b"\xff"])
def test_a_token_that_no_node_gave_becomes_no_key(part: bytes) -> None:
    with pytest.raises(RequestError, match="page_token"):
        last_id(page_tokens.decode(b"query", page_tokens.encode(b"query", 1, part)).after)


@pytest.mark.parametrize("part", [b"x", b"x" * 16, b"\xff" * 17, b"x" * 81])
def test_a_place_among_contacts_that_no_node_gave_is_none(part: bytes) -> None:
    with pytest.raises(RequestError, match="page_token"):
        _Place.of(part)


def test_a_place_among_contacts() -> None:
    place = _Place(3, 2**64 - 1, "bob")
    assert _Place.of(place.packed) == place
    assert _Place.of(b"") == _Place(0, 0, "")
