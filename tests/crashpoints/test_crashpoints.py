"""A part of `make crashpoints`: every fault at the commit, and a sample of the rest."""

from __future__ import annotations

import asyncio

import pytest

from tests.crashpoints.operations import OPERATIONS, Commit, Operation
from tests.crashpoints.strace import Fault, why_not
from tests.crashpoints.sweep import sample, sweep

SAMPLE = 3


@pytest.fixture(scope="module")
def _strace_works() -> None:
    if (reason := why_not()) is not None:
        pytest.skip(f"no crash point was tried: {reason}")


@pytest.mark.slow
@pytest.mark.usefixtures("_strace_works")
def test_every_disk_call_of_a_commit() -> None:
    findings = asyncio.run(sweep(Commit()))
    assert findings.failures + findings.missed == []


@pytest.mark.slow
@pytest.mark.usefixtures("_strace_works")
@pytest.mark.parametrize("operation", OPERATIONS[1:], ids=lambda operation: operation.name)
def test_some_disk_calls(operation: Operation) -> None:
    findings = asyncio.run(sample(operation, SAMPLE))
    assert findings.failures == []
    assert {fault for _, fault in findings.outcomes} == set(Fault), "not every fault was met"
