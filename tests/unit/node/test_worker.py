"""Nothing that goes wrong in a worker, or in what follows from its work, is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kvraft.node.worker import Worker


def _fail(*_: object) -> None:
    raise OSError("told to fail")


def _nothing(*_: object) -> None:
    pass


@pytest.mark.parametrize(("job", "on_done"), [(_fail, _nothing), (_nothing, _fail)])
def test_a_failure_is_told(job: Callable[[], None], on_done: Callable[[object], None]) -> None:
    async def run() -> BaseException:
        failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        worker = Worker("test", asyncio.get_running_loop(), failure.set_result)
        worker.run(job, on_done)
        async with asyncio.timeout(30):
            found = await failure
        worker.stop()
        return found

    assert str(asyncio.run(run())) == "told to fail"
