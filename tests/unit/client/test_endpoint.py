from __future__ import annotations

import pytest

from kvraft.client.endpoint import parse_endpoints


def test_a_list_of_endpoints() -> None:
    assert parse_endpoints("a:1, 10.0.0.2:7001,[::1]:65535") == ("a:1", "10.0.0.2:7001", "[::1]:65535")


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:0", "a:65536", "a:x", "a:1,", "::1:7001", "a:²"])
def test_what_is_not_an_endpoint_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not an endpoint: write"):
        parse_endpoints(text)
