"""A process of its own that deletes a directory when its stdin ends, whatever end its owner has had.

Nodes that still hold data directories in it are killed: one that is stopped (SIGSTOP) would stay for ever.
Run by path, with the standard library alone, as it is to be up before its owner can be gone.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

FAREWELL = b"."
"""Told by an owner that ends in good order: its nodes are gone."""
_PATIENCE_S = 5.0
"""How long nodes that have just been started are waited for, as they make their directory anew."""
_POLL_S = 0.1


def main(directory: Path) -> None:
    """Waits, and deletes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told = b""
    while data := os.read(0, 64):
        told += data
    deadline_s = time.monotonic() + (0 if told == FAREWELL else _PATIENCE_S)
    while True:
        for lock in directory.glob("*/LOCK"):
            _kill_holder(lock)
        shutil.rmtree(directory, ignore_errors=True)
        if time.monotonic() >= deadline_s:
            return
        time.sleep(_POLL_S)


def _kill_holder(lock: Path) -> None:
    """Kills the node that holds a data directory. While it does, its process id is no other's."""
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(file.read()), signal.SIGKILL)
    except (OSError, ValueError):
        return  # it has just gone, or has just begun and ends by itself


if __name__ == "__main__":
    main(Path(sys.argv[1]))
