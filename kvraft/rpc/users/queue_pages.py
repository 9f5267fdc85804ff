"""Lists of queues and dead letters, page by page."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import queues
from kvraft.machine.users.rows import find_user, has_device, users_after
from kvraft.node.refusals import request_error
from kvraft.rpc.users import message_responses, page_tokens, pages
from kvraft.rpc.users.checks import (
    DEVICE_ID_BYTES_MAX,
    PAGE_SIZE_MAX,
    USER_ID_BYTES_MAX,
    check_page_size,
    check_user_id,
)
from kvraft.rpc.users.message_requests import check_queue
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import message_pb2

_SEQ = struct.Struct(">Q")


class QueuePage:
    """What ListQueues asks for. A page begins after a device, and looks at 1,000 queues at most."""

    __slots__ = ("_after", "_only_nonempty", "_query", "_size", "_user_id", "revision")

    def __init__(self, request: message_pb2.ListQueuesRequest) -> None:
        """Raises RequestError."""
        if request.user_id:
            check_user_id("user_id", request.user_id)
        self._user_id = request.user_id
        self._only_nonempty = request.only_nonempty
        self._size = check_page_size(request.page_size)
        self._query = b"queues\0%d%b" % (request.only_nonempty, request.user_id.encode())
        start = page_tokens.decode(self._query, request.page_token)
        user, _, device = start.after.partition(b"\0")
        if len(user) > USER_ID_BYTES_MAX or len(device) > DEVICE_ID_BYTES_MAX:
            raise pages.foreign_token()
        self._after = pages.last_id(user), pages.last_id(device)
        self.revision = start.revision
        """The revision of the page before; 0: this is the first."""

    def read(self, state: StateReader, revision: int) -> tuple[list[message_pb2.Queue], str]:
        """The queues of the page of a state at `revision`, and the token of the next one. Raises
        RequestError."""
        found: list[message_pb2.Queue] = []
        last = ""
        for looked, (user_id, device_id) in enumerate(self._devices(state)):
            if len(found) == self._size or looked == PAGE_SIZE_MAX:
                return found, page_tokens.encode(self._query, revision, last.encode())
            last = f"{user_id}\0{device_id}"
            row = queues.find(state, user_id, device_id)
            if not self._only_nonempty or row.live or row.scheduled or row.dead_letters:
                found.append(message_responses.queue(user_id, device_id, row))
        return found, ""

    def _devices(self, state: StateReader) -> Iterator[tuple[str, str]]:
        """All devices of the page and those after it."""
        user_id, device_id = self._after
        if self._user_id and find_user(state, self._user_id) is None:
            raise request_error(Failed(FailureReason.USER_NOT_FOUND))
        first = self._user_id or user_id
        for user in chain((first,) if first else (), () if self._user_id else users_after(state, first)):
            found = find_user(state, user)
            if found is not None:
                devices = sorted(device.device_id for device in found[0].devices)
                yield from [(user, each) for each in devices if user != user_id or each > device_id]


class DeadLetterPage:
    """What ListDeadLetters asks for. A page begins after a number."""

    __slots__ = ("_after_seq", "_device", "_query", "_size", "revision")

    def __init__(self, request: message_pb2.ListDeadLettersRequest) -> None:
        """Raises RequestError."""
        check_queue(request)
        self._device = request.user_id, request.device_id
        self._size = check_page_size(request.page_size)
        self._query = b"dead letters\0%b\0%b" % (request.user_id.encode(), request.device_id.encode())
        start = page_tokens.decode(self._query, request.page_token)
        if len(start.after) not in (0, _SEQ.size):
            raise pages.foreign_token()
        self._after_seq = int.from_bytes(start.after)
        self.revision = start.revision
        """The revision of the page before; 0: this is the first."""

    def read(self, state: StateReader, revision: int) -> tuple[list[message_pb2.DeadLetter], str]:
        """The letters of the page of a state at `revision`, and the token of the next one. Raises
        RequestError."""
        if not has_device(state, *self._device):
            raise request_error(Failed(FailureReason.DEVICE_NOT_FOUND))
        rows = queues.dead_letters(state, *self._device, self._after_seq)
        letters = map(message_responses.dead_letter, rows)
        page, more = pages.take(letters, self._size, message_pb2.DeadLetter.ByteSize)
        return page, page_tokens.encode(self._query, revision, _SEQ.pack(page[-1].seq)) if more else ""
