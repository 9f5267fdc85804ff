"""A write of kvctl is one revision, and no client stays registered."""

from __future__ import annotations

import json

import pytest

from tests.cli.served import Served


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "k", "v"],
        ["cas", "new", "--expect", "0", "v"],
        ["del", "there"],
        ["device", "add", "ann", "phone"],
    ],
)
def test_one_revision(served: Served, arguments: list[str]) -> None:
    with served.client() as client:
        client.kv.put(b"there", b"v")
        before = client.kv.get(b"there").header.revision
        answer = json.loads(served.run("-o", "json", *arguments).stdout)
        assert answer["header"]["revision"] == before + 1
        assert client.kv.get(b"there").header.revision == before + 1
