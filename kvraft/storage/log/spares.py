"""Files for segments to come: made ready ahead, in a thread of their own, since filling 64 MiB with
zeros takes longer than clients should wait. Segments that compaction freed are filled again and
serve as the next spare: overwriting a file allocates nothing, so it works on a full disk as well.

Nothing that goes wrong here is fatal: it is tried again after a while, and a missing spare only means that
the log makes the file itself, and meets the error itself if it lasts. What was left over at a crash is
deleted when the log is opened, never trusted: it may be half filled.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from kvraft.storage.data_directory import fsync_directory
from kvraft.storage.log.segment import Segment, fill_with_zeros

SPARE_NAME = "spare.tmp"
NEXT_NAME = "next.tmp"
RETRY_S = 1.0
"""After this what failed is tried again, also where the log does not go on."""


class Spares:
    """At most one spare, and the segments that wait for being deleted."""

    __slots__ = (
        "_directory",
        "_is_closed",
        "_job",
        "_lock",
        "_ready",
        "_recycled",
        "_retired",
        "_retry",
        "_segment_bytes",
        "_thread",
        "_wanted",
        "failure",
    )

    def __init__(self, directory: Path, segment_bytes: int) -> None:
        self.failure: OSError | None = None
        """Why the last attempt to make a spare or to delete a segment failed; None if it did not."""
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kvraft-log-spares")
        self._job: Future[None] | None = None
        self._retry: threading.Timer | None = None
        self._is_closed = False
        self._wanted = False
        self._ready = False
        self._retired: deque[Segment] = deque()
        self._recycled = False
        """Whether the file of the spare still holds a segment's bytes."""

    @property
    def size_bytes(self) -> int:
        """What the spare and the segments to be deleted take on disk."""
        with self._lock:
            spare = self._segment_bytes if self._ready else 0
            return spare + sum(segment.size_bytes for segment in self._retired)

    @property
    def is_tidy(self) -> bool:
        """Whether all that was retired is gone, bytes and all."""
        with self._lock:
            return not self._retired and not self._recycled

    def prepare(self) -> None:
        """Begins to make a spare, if there is none. Tries again what failed before."""
        with self._lock:
            if self._ready:
                return
            self._wanted = True
        self._begin()

    def retire(self, segments: list[Segment]) -> None:
        """Begins to delete or recycle segments, closed and in their order."""
        with self._lock:
            self._retired.extend(segments)
        self._begin()

    def take(self, path: Path) -> bool:
        """Renames the spare to `path`. False if none is ready. Raises OSError."""
        with self._lock:
            if not self._ready:
                return False
            os.rename(self._directory / SPARE_NAME, path)
            self._ready = False
        return True

    def wait(self) -> None:
        """Until all that was begun has ended."""
        if self._job is not None:
            self._job.result()

    def close(self) -> None:
        """Waits, then lets the thread go."""
        with self._lock:
            self._is_closed = True
            if self._retry is not None:
                self._retry.cancel()
        self.wait()
        self._thread.shutdown()

    def _begin(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            if self._job is not None and self._job.done():
                self._job.result()  # raises what can only be a bug
            self._job = self._thread.submit(self._work)

    def _begin_later(self) -> None:
        with self._lock:
            if self._retry is not None:
                self._retry.cancel()
            if not self._is_closed:
                self._retry = threading.Timer(RETRY_S, self._begin)
                self._retry.daemon = True
                self._retry.start()

    def _work(self) -> None:
        try:
            self._clear_retired()
            with self._lock:
                wanted = self._wanted and not self._ready
            if wanted:
                self._fill()
            self.failure = None
        except OSError as error:
            self.failure = error
            self._begin_later()

    def _clear_retired(self) -> None:
        """Oldest first, each durably gone before the next: no crash may leave a gap."""
        spare = self._directory / SPARE_NAME
        while self._retired:
            segment = self._retired[0]
            is_there = segment.path.exists()  # not if it was only the fsync that failed last time
            recyclable = is_there and segment.size_bytes == self._segment_bytes and not spare.exists()
            if recyclable:
                os.rename(segment.path, spare)
                self._recycled = True
            else:
                segment.path.unlink(missing_ok=True)
            fsync_directory(self._directory)
            with self._lock:
                self._retired.popleft()
            if recyclable:
                self._fill()

    def _fill(self) -> None:
        spare = self._directory / SPARE_NAME
        try:
            fill_with_zeros(spare, self._segment_bytes)
        except OSError:
            spare.unlink(missing_ok=True)  # half a file is no use, and the disk may be full
            self._recycled = False
            raise
        with self._lock:
            self._ready = True
            self._wanted = False
            self._recycled = False
