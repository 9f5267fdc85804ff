"""Nothing that goes wrong in a worker, or follows from its work, is lost. What finds no room waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from kvraft.node import worker as worker_module
from kvraft.node.worker import Worker
from kvraft.storage.errors import ExhaustedError, StorageError

PATIENCE_S = 30


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


class Disk:
    """Jobs of a worker that has no room until it gets some."""

    def __init__(self) -> None:
        self.has_room = threading.Event()
        self.was_met = threading.Event()
        self.was_met_again = threading.Event()
        self.done: list[str] = []
        self.changed = asyncio.Event()

    def note(self, name: str) -> None:
        self.done.append(name)
        self.changed.set()

    def write(self, name: str) -> Callable[[], str]:
        def job() -> str:
            if not self.has_room.is_set():
                (self.was_met_again if self.was_met.is_set() else self.was_met).set()
                raise ExhaustedError("the disk is full")
            return name

        return job

    def tidy_up(self, name: str) -> Callable[[], str]:
        def job() -> str:
            self.has_room.set()
            return name

        return job


@pytest.fixture
def retries_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "RETRY_S", 0.01)


@pytest.fixture
def retries_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later than any test."""
    monkeypatch.setattr(worker_module, "RETRY_S", 10 * PATIENCE_S)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


async def finished(disk: Disk, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(disk.done) < count:
            disk.changed.clear()
            await disk.changed.wait()


@pytest.mark.usefixtures("retries_soon")
def test_what_finds_no_room_comes_again_and_keeps_its_place() -> None:
    async def run() -> None:
        disk = Disk()
        worker = Worker("test", asyncio.get_running_loop(), pytest.fail)
        for name in ("first", "second", "third"):
            worker.run(disk.write(name), disk.note)
        await until(disk.was_met_again)
        assert worker.is_stalled
        assert disk.done == []
        disk.has_room.set()
        await finished(disk, 3)
        worker.run(disk.write("fourth"), disk.note)
        await finished(disk, 4)
        assert disk.done == ["first", "second", "third", "fourth"]
        worker.stop()
        assert not worker.is_stalled

    asyncio.run(run())


@pytest.mark.usefixtures("retries_late")
def test_what_makes_room_overtakes_what_waits_for_it_which_is_tried_at_once() -> None:
    async def run() -> None:
        disk = Disk()
        worker = Worker("test", asyncio.get_running_loop(), pytest.fail)
        worker.run(disk.write("write"), disk.note)
        worker.run(disk.write("next"), disk.note)
        worker.tidy_up(disk.tidy_up("tidied"), disk.note)
        await finished(disk, 3)
        assert disk.done == ["tidied", "write", "next"]
        worker.stop()

    asyncio.run(run())


@pytest.mark.usefixtures("retries_soon")
def test_tidying_up_that_failed_is_tried_again_whatever_it_was_and_however_busy_the_worker_is() -> None:
    async def run() -> None:
        disk = Disk()
        fails = iter([True, True])

        def delete() -> str:
            if next(fails, False):
                raise StorageError("told to fail")
            return "deleted"

        worker = Worker("test", asyncio.get_running_loop(), pytest.fail)

        def busy() -> None:
            if "deleted" not in disk.done:
                worker.run(busy, _nothing)  # so that there always is a job

        busy()
        worker.tidy_up(delete, disk.note)
        await finished(disk, 1)
        worker.stop()

    asyncio.run(run())


@pytest.mark.usefixtures("retries_late")
def test_stopping_does_not_wait_for_room() -> None:
    async def run() -> None:
        disk = Disk()
        worker = Worker("test", asyncio.get_running_loop(), pytest.fail)
        worker.run(disk.write("write"), disk.note)
        await until(disk.was_met)
        worker.stop()
        assert disk.done == []

    asyncio.run(run())


@pytest.mark.usefixtures("retries_soon")
def test_what_leaves_the_disk_unknown_is_told_also_when_it_comes_after_a_lack_of_room() -> None:
    async def run() -> None:
        failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        errors = iter([ExhaustedError("full"), ExhaustedError("full"), StorageError("broken")])

        def job() -> None:
            raise next(errors)

        worker = Worker("test", asyncio.get_running_loop(), failure.set_result)
        worker.run(job, _nothing)
        async with asyncio.timeout(PATIENCE_S):
            assert str(await failure) == "broken"
        worker.stop()

    asyncio.run(run())
