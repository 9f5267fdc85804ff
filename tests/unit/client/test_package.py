"""`kvraft.client` exports the same to programs and to type checkers, and imports what is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kvraft.client


def typed_exports() -> dict[str, str]:
    """Names and their modules, as type checkers see them."""
    stub = Path(kvraft.client.__file__).with_suffix(".pyi")
    return {
        name.name: str(statement.module)
        for statement in ast.parse(stub.read_text()).body
        if isinstance(statement, ast.ImportFrom)
        for name in statement.names
    }


def test_the_exports_are_those_of_the_stub() -> None:
    typed = typed_exports()
    assert list(kvraft.client.__all__) == sorted(typed)
    for name, module in typed.items():
        assert getattr(kvraft.client, name) is getattr(sys.modules[module], name)


def test_what_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = kvraft.client.nonsense
    assert dir(kvraft.client) == list(kvraft.client.__all__)


def test_an_import_of_the_client_waits_for_no_service_that_is_not_used() -> None:
    look = (
        "import sys; from kvraft.client import Client; Client('a:1').kv;"
        "print(sorted(name for name in sys.modules if name.startswith('kvraft.client.')))"
    )
    result = subprocess.run([sys.executable, "-c", look], capture_output=True, timeout=30, check=True)
    imported = set(ast.literal_eval(result.stdout.decode()))
    assert "kvraft.client.kv" in imported
    services = {"admin", "contacts", "groups", "lease", "messages", "recipes", "sessions", "cluster", "sync"}
    assert not imported & {f"kvraft.client.{name}" for name in services}
