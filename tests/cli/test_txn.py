"""kvctl txn against the real services."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from kvctl.root import kvctl
from kvraft.v1 import kv_pb2
from tests.fakes.machine_server import MachineServer

Run = Callable[..., Result]


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a command line: run("txn", stdin="...")."""
    with MachineServer() as server:

        def run(*arguments: str, stdin: str | bytes = b"") -> Result:
            result = CliRunner().invoke(
                kvctl,
                arguments,
                input=stdin,
                env={"KVRAFT_ENDPOINTS": server.endpoint},
                prog_name="kvctl",
            )
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return result

        yield run


def lines(result: Result) -> list[str]:
    """Without the padding of the table."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


LOCK = """\
missing("lock")

put lock "me, myself"

get lock
"""


def test_a_lock_is_taken_once(run: Run) -> None:
    taken = run("txn", stdin=LOCK)
    assert (taken.exit_code, taken.stderr) == (0, "")
    first, *table = lines(taken)
    assert first.startswith("succeeded, revision ")
    assert table == ["# REQUEST KEY ANSWER", "1 put lock stored"]
    held = run("txn", stdin=LOCK)
    assert (held.exit_code, held.stderr) == (1, "")
    assert lines(held)[0].startswith("the comparisons did not hold, revision ")
    assert lines(held)[1:] == ["# REQUEST KEY ANSWER", "1 get lock me, myself"]


def test_every_request_and_comparison(run: Run) -> None:
    run("put", "jobs/1", "one")
    run("put", "jobs/2", "two")
    result = run(
        "txn",
        stdin="""\
version("jobs/1") = 1
version( 'jobs/1' )>"0"
create(jobs/1) != 77
mod("jobs/1") > "0"
lease("jobs/1") = 0
value("jobs/1") = one
value("jobs/1") < "onf"
exists("jobs/2")

get jobs/ --prefix --limit 1
put jobs/1 "a\\tb\\x21\\\\" --print-previous
get jobs/1
get none
del jobs/2 --print-previous
del none
del jobs/ --prefix
""",
    )
    assert result.exit_code == 0, result.stderr
    assert lines(result)[2:] == [
        "1 get jobs/ .. jobs0 1 keys, there are more",
        "1 jobs/1 one",
        "2 put jobs/1 stored, previous one",
        "3 get jobs/1 a\\x09b!\\\\",
        "4 get none does not exist",
        "5 del jobs/2 deleted, previous two",
        "6 del none does not exist",
        "7 del jobs/ .. jobs0 1 deleted",
    ]
    assert run("ls", "--count").stdout == "0\n"


def test_without_comparisons_and_in_hexadecimal(run: Run) -> None:
    assert run("txn", "--hex", stdin="\nput 00ff '6869'\n").exit_code == 0
    got = run("txn", "--hex", stdin='value("00ff") = "6869"\n\nget 00ff')
    assert lines(got)[2:] == ["1 get 00ff 6869"]


def test_as_json(run: Run) -> None:
    run("txn", stdin=LOCK)
    result = run("txn", "-o", "json", stdin="missing(lock)\n\n\nget lock\nget none\ndel lock\nput x y\n")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["succeeded"] is False
    assert answer["header"]["revision"] > 0
    found, absent, deleted, put = answer["results"]
    assert found["get"]["kv"]["value"] == "me, myself"
    assert absent == {"get": {"kv": None}}
    assert deleted == {"delete": {"deleted": 1, "previous": None}}
    assert put == {"put": {"previous": None}}


def test_a_json_document(run: Run) -> None:
    document = {
        "compare": [
            {"key": "a", "version": 0},
            {"key_hex": "00", "relation": "<", "mod_revision": 1},
            {"prefix": "p/", "value_b64": "AA==", "relation": "!="},
            {"start": "x", "end": "y", "create_revision": 1},
            {"key": "b", "exists": False},
            {"lease_id": 0},
        ],
        "success": [
            {"put": {"key": "a", "value": "1", "print_previous": True}},
            {"put": {"key_b64": "/w==", "value_hex": "00"}},
            {"range": {"keys_only": True, "reverse": True, "limit": 1}},
            {"range": {"prefix": "a", "count_only": True}},
            {"delete_range": {"start": "b", "limit": 1}},
            {
                "txn": {
                    "compare": [{"key": "a", "exists": True}],
                    "success": [{"get": {"key": "a"}}, {"delete": {"key": "a", "print_previous": True}}],
                }
            },
        ],
        "failure": [],
    }
    result = run("txn", "--json", "-o", "json", stdin=json.dumps(document))
    assert result.exit_code == 0, result.stderr
    put, binary, last, count, deleted, nested = json.loads(result.stdout)["results"]
    assert (put, binary) == ({"put": {"previous": None}},) * 2
    assert [(kv["key"], "value" in kv) for kv in last["range"]["kvs"]] == [(None, False)]
    assert last["range"]["count"] == 2
    assert count == {"range": {"kvs": [], "count": 1}}
    assert deleted == {"delete_range": {"deleted": 1, "more": False}}
    assert nested["txn"]["succeeded"] is True
    got, gone = nested["txn"]["results"]
    assert got["get"]["kv"]["value"] == "1"
    assert gone["delete"]["previous"]["value"] == "1"
    table = run("txn", "--json", stdin=json.dumps(document))
    assert lines(table)[1:] == [
        "# REQUEST KEY ANSWER",
        "1 put a stored",
        "2 put \\xff stored",
        "3 get .. 1 keys, there are more",
        "3 \\xff",
        "4 count a .. b 1 keys",
        "5 del b .. 1 deleted",
        "6 txn succeeded",
        "6.1 get a 1",
        "6.2 del a deleted, previous 1",
    ]


MISTAKES = {
    "nothing": ("\n\n\n", "stdin holds no transaction"),
    "no comparison": ('("k") = 1', 'line 1, column 1: expected a comparison, such as version("key") = "0"'),
    "unknown side": ('exists("a")\nage("k") = 1', "line 2, column 1: age cannot be compared; version,"),
    "no parenthesis": ("version k", 'line 1, column 9: expected ("key")'),
    "no key": ("version()", "line 1, column 9: expected a key"),
    "not closed": ('version("k" = 1', "line 1, column 13: expected )"),
    "no relation": ('version("k") 1', "line 1, column 14: expected =, !=, < or >"),
    "no operand": ('value("k") =', "line 1, column 13: expected a value"),
    "no number": ('version("k") = "x"', "line 1, column 16: expected a version, and 'x' is no whole number"),
    "large number": (f'mod("k") = {1 << 64}', "line 1, column 12: a mod is too large"),
    "too much": ('version("k") = 1 2', "line 1, column 18: '2' is too much"),
    "open quote": ('\nput k "v', "line 2, column 7: a quote without an end"),
    "unknown escape": ('\nput k "a\\q"', "line 2, column 7: \\q is no escape"),
    "unknown request": ("\nset k v", "line 2, column 1: set is no request; put, get and del are"),
    "no value": ("\nput k", "line 2, column 6: expected a value"),
    "unknown option": ("\nget k --lease 1", "line 2, column 7: get has no option --lease"),
    "no option value": ("\nput k v --lease", "line 2, column 16: expected a number"),
    "limit alone": ("\nget k --limit 1", "--limit is of --prefix"),
    "previous of many": ("\ndel k --prefix --print-previous", "--print-previous is of a single key"),
    "fourth block": ("\n\n\nget k", "line 4, column 1: a transaction has three blocks"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_text_is_told_with_its_place(run: Run, text: str, message: str) -> None:
    result = run("txn", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_what_is_not_hexadecimal_is_told_with_its_place(run: Run) -> None:
    result = run("txn", "--hex", stdin="\nput 00 xyz")
    assert result.exit_code == 2
    assert "line 2, column 8: 'xyz' is not hexadecimal" in result.stderr


DOCUMENT_MISTAKES: dict[str, tuple[Any, str]] = {
    "no object": ([], "the document is not an object"),
    "unknown field": ({"compares": []}, "compares is not known"),
    "no array": ({"success": {}}, "success is not of type array"),
    "no compare": ({"compare": [1]}, "compare[0] is not an object"),
    "compares nothing": ({"compare": [{"key": "k"}]}, "compare[0] compares nothing"),
    "compares twice": (
        {"compare": [{"key": "k", "version": 1, "lease_id": 0}]},
        "compare[0].lease_id is not",
    ),
    "relation": (
        {"compare": [{"key": "k", "version": 1, "relation": "=="}]},
        "compare[0].relation is none of",
    ),
    "bool": ({"compare": [{"key": "k", "version": True}]}, "compare[0].version is not of type number"),
    "negative": ({"compare": [{"key": "k", "version": -1}]}, "compare[0].version is not a number from 0"),
    "exists of a range": ({"compare": [{"prefix": "k", "exists": True}]}, "compare[0].exists is of a key"),
    "key and prefix": ({"compare": [{"key": "k", "prefix": "k", "version": 1}]}, "compare[0].prefix is not"),
    "prefix and start": (
        {"success": [{"range": {"prefix": "k", "start": "k"}}]},
        "success[0].range.prefix is given together with start or end",
    ),
    "unknown request": ({"success": [{"set": {}}]}, "success[0] is not one of put, get, delete, range,"),
    "two requests": ({"success": [{"get": {"key": "a"}, "put": {}}]}, "success[0] is not one of"),
    "no key": ({"failure": [{"get": {}}]}, "failure[0].get.key is missing"),
    "no value": ({"success": [{"put": {"key": "k"}}]}, "success[0].put.value is missing"),
    "base64": ({"success": [{"get": {"key_b64": "?"}}]}, "success[0].get.key_b64 cannot be decoded"),
    "twice": ({"success": [{"get": {"key": "a", "key_hex": "61"}}]}, "success[0].get.key is given twice"),
    "nested": (
        {"success": [{"txn": {"failure": [{"get": {"key": 1}}]}}]},
        "success[0].txn.failure[0].get.key is not of type string",
    ),
}


@pytest.mark.parametrize(("document", "message"), DOCUMENT_MISTAKES.values(), ids=DOCUMENT_MISTAKES.keys())
def test_a_mistake_in_json_is_told_with_its_place(run: Run, document: Any, message: str) -> None:
    result = run("txn", "--json", stdin=json.dumps(document))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_what_is_not_json_is_told_with_line_and_column(run: Run) -> None:
    result = run("txn", "--json", stdin='{"success":\n [}')
    assert result.exit_code == 2
    assert "line 2, column 3" in result.stderr


def test_what_the_cluster_refuses_names_the_field(run: Run) -> None:
    result = run("txn", "-o", "json", stdin=f"\nput a b\nput {'k' * 481} v\n")
    assert result.exit_code == 2
    (violation,) = json.loads(result.stderr)["error"]["violations"]
    assert violation["field"] == "success[1].put.key"


def _documented(language: str) -> list[str]:
    """What docs/transactions.md shows in this language."""
    page = (Path(__file__).parents[2] / "docs" / "transactions.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_documented_transactions_are_understood(run: Run) -> None:
    text, for_grpcurl = (
        re.findall(r"<<'?END'?\n(.*?)END\n", block, re.DOTALL)[0] for block in _documented("sh")
    )
    assert run("txn", stdin=text.replace("$lease", "17")).exit_code == 1
    document, grpcurl_answer = _documented("json")
    assert run("txn", "--json", stdin=document).exit_code == 1
    json_format.Parse(for_grpcurl, kv_pb2.TxnRequest())
    json_format.Parse(grpcurl_answer, kv_pb2.TxnResponse())
