"""Child processes of a benchmark: started, awaited on their ports, always stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def running(
    commands: Sequence[Sequence[str]], ports: Sequence[int], log_directory: Path
) -> Iterator[list[int]]:
    """Runs the commands until all `ports` accept connections, yields the process ids, stops them after."""
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        try:
            for number, command in enumerate(commands):
                log = stack.enter_context((log_directory / f"{number}.log").open("wb"))
                processes.append(
                    subprocess.Popen(
                        command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}
                    )
                )
            for port in ports:
                _await_port(port, processes, log_directory)
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _await_port(port: int, processes: Sequence[subprocess.Popen[bytes]], log_directory: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            for number, process in enumerate(processes):
                if process.poll() is not None:
                    log = (log_directory / f"{number}.log").read_text(errors="replace")
                    raise RuntimeError(
                        f"{process.args!r} ended with {process.returncode}:\n{log[-2000:]}"
                    ) from None
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing listens on port {port}") from None
            time.sleep(0.02)
        else:
            return


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
