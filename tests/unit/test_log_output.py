"""Output that nobody takes: nothing waits, nothing fails, and what was lost is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kvraft.log_output import LogOutput

PATIENCE_S = 20


class Pipe:
    """A pipe, and an output that writes to it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.output = LogOutput(self.writer, waiting_bytes_max=1_000)

    def fill(self) -> None:
        """Whoever writes to it now waits for a reader."""
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, b"." * 4_096)
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def read_all(self) -> str:
        """Up to the end that the output is given meanwhile."""
        pieces: list[bytes] = []

        def read() -> None:
            while piece := os.read(self.reader, 65_536):
                pieces.append(piece)

        reading = threading.Thread(target=read)
        reading.start()
        self.output.finish(PATIENCE_S)
        os.close(self.writer)
        reading.join(PATIENCE_S)
        return b"".join(pieces).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)


def test_lines_come_as_they_were_written(pipe: Pipe) -> None:
    print("one", "and a half", file=pipe.output)
    click.echo("two", file=pipe.output)
    pipe.output.write("thr")
    pipe.output.write("ee\nfour")
    assert pipe.read_all() == "one and a half\ntwo\nthree\nfour"


def test_what_is_not_utf_8_is_written_all_the_same(pipe: Pipe) -> None:
    pipe.output.write("half \ud83d\n")
    assert pipe.read_all() == "half \\ud83d\n"


def test_nobody_waits_for_a_reader_and_the_lines_that_were_lost_are_told(pipe: Pipe) -> None:
    pipe.fill()
    for number in range(200):
        pipe.output.write(f"line {number:03}\n")
    lines = pipe.read_all().strip(".").splitlines()
    told = [line for line in lines if "were lost" in line]
    kept = [line for line in lines if line.startswith("line ")]
    assert len(told) == 1
    assert kept == [f"line {number:03}" for number in range(len(kept))]
    assert told[0].startswith(f"kvraft: {200 - len(kept)} lines were lost")
    assert 0 < len(kept) <= 1_000 / len("line 000\n") + 1


def test_the_end_does_not_wait_for_a_reader_for_ever(pipe: Pipe) -> None:
    pipe.fill()
    pipe.output.write("a line\n")
    pipe.output.finish(0.01)
    os.close(pipe.writer)


def test_a_pipe_without_a_reader_is_no_failure() -> None:
    reader, writer = os.pipe()
    output = LogOutput(writer)
    os.close(reader)
    output.write("one\ntwo\n")
    output.finish(PATIENCE_S)
    assert output.lines_lost == 2
    os.close(writer)


def test_a_full_disk_is_no_failure() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = LogOutput(descriptor)
    output.write("a line\n")
    output.finish(PATIENCE_S)
    assert output.lines_lost == 1
    os.close(descriptor)


def test_a_disk_that_has_room_again_is_told_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a line was written in part."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    write, is_full, refused = os.write, True, threading.Event()

    def write_some(to: int, data: memoryview) -> int:
        if to != descriptor or not is_full:
            return write(to, data)
        if os.fstat(to).st_size == 0:
            return write(to, data[:4])
        refused.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write_some)
    output = LogOutput(descriptor)
    output.write("lost line\n")
    assert refused.wait(PATIENCE_S)
    is_full = False
    output.write("next line\n")
    output.finish(PATIENCE_S)
    os.close(descriptor)
    first, *rest = path.read_text().splitlines()
    assert (first, rest[-1]) == ("lost", "next line")
    assert rest[0].startswith("kvraft: 1 lines were lost")
