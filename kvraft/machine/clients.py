"""Registered clients and their answers: what makes a write safe to repeat (dissertation 6.3).

A client's numbered command is applied once. Its answer is kept as a row, in the same state, so it
is wherever the effect of the command is: on every node, in every snapshot. The memory of clients in
this module is a copy of those rows and nothing more; a node that has just started reads them anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from kvraft.machine import keys
from kvraft.machine.answers import decode_answer, encode_answer
from kvraft.machine.results import Answer, Failed, FailureReason
from kvraft.storage.interfaces import StateReader, StateTransaction
from kvraft.v1 import command_pb2

CLIENT_IDLE_MS = 60 * 60 * 1000
"""A client that sends nothing for so long is forgotten."""
ANSWERS_MAX = 1_024
ANSWER_BYTES_MAX = 4 << 20
"""Of one client; it should say which answers it has."""
_SEEN_RESOLUTION_MS = 10_000
"""Activity is recorded no finer than this: a row need not be written for every command."""

# when it was last seen, first unacknowledged number
_CLIENT = struct.Struct(">QQ")


class _Client:
    """A copy of a client's rows."""

    __slots__ = ("answer_bytes", "answers", "first_unacknowledged", "row", "row_key", "seen_ms")

    def __init__(self, client_id: int, row: bytes, answers: dict[int, bytes]) -> None:
        self.row_key = keys.client_key(client_id)
        self.row = row
        self.seen_ms: int
        self.first_unacknowledged: int
        self.seen_ms, self.first_unacknowledged = _CLIENT.unpack(row)
        self.answers = answers
        self.answer_bytes = sum(map(len, answers.values()))

    def is_stale(self, sequence: int) -> bool:
        """Whether the client has said that it has this answer."""
        return sequence < self.first_unacknowledged


class Clients:
    """The clients of one state."""

    __slots__ = ("_clients", "_state")

    def __init__(self, state: StateTransaction) -> None:
        self._state = state
        self._clients: dict[int, _Client] = {}

    def register(self, client_id: int, clock_ms: int) -> None:
        """A new client; its id was never used before."""
        self._state.put(keys.client_key(client_id), _CLIENT.pack(clock_ms, 1), None)

    def forget(self, client_id: int) -> bool:
        """Forgets a client and its answers. False: there was none."""
        client = self._find(client_id)
        if client is None:
            return False
        for sequence in list(client.answers):
            self._forget_answer(client_id, client, sequence)
        self._state.delete(client.row_key, client.row)
        del self._clients[client_id]
        return True

    def forget_idle(self, client_id: int, clock_ms: int) -> bool:
        """Forgets a client if it has been idle for too long. False: it was not."""
        client = self._find(client_id)
        return client is not None and is_idle(client.seen_ms, clock_ms) and self.forget(client_id)

    def once(
        self,
        command: command_pb2.Command,
        execute: Callable[[], Answer],
        *,
        clock_ms: int,
        revision: int,
    ) -> Answer:
        """The answer to a client's number: of `execute`, or of the first time. `revision` is the state's."""
        client_id, sequence = command.client_id, command.sequence
        client = self._find(client_id)
        if client is None:
            return Answer(revision, Failed(FailureReason.UNKNOWN_CLIENT, client_id))
        self._seen(client_id, client, command.first_unacknowledged, clock_ms)
        if (row := client.answers.get(sequence)) is not None:
            return decode_answer(row)
        if client.is_stale(sequence):
            return Answer(revision, Failed(FailureReason.STALE_SEQUENCE, sequence))
        if len(client.answers) >= ANSWERS_MAX or client.answer_bytes >= ANSWER_BYTES_MAX:
            return Answer(revision, Failed(FailureReason.TOO_MANY_UNACKNOWLEDGED, client_id))
        answer = execute()
        self._remember(client_id, client, sequence, answer)
        return answer

    def _remember(self, client_id: int, client: _Client, sequence: int, answer: Answer) -> None:
        row = encode_answer(answer)
        if len(row) > ANSWER_BYTES_MAX:
            row = encode_answer(Answer(answer.revision, Failed(FailureReason.ANSWER_TOO_LARGE, sequence)))
        self._state.put(keys.answer_key(client_id, sequence), row, None)
        client.answers[sequence] = row
        client.answer_bytes += len(row)

    def _forget_answer(self, client_id: int, client: _Client, sequence: int) -> None:
        row = client.answers.pop(sequence)
        client.answer_bytes -= len(row)
        self._state.delete(keys.answer_key(client_id, sequence), row)

    def _seen(self, client_id: int, client: _Client, first_unacknowledged: int, clock_ms: int) -> None:
        if first_unacknowledged > client.first_unacknowledged:
            client.first_unacknowledged = first_unacknowledged
            for sequence in [each for each in client.answers if each < first_unacknowledged]:
                self._forget_answer(client_id, client, sequence)
        elif clock_ms - client.seen_ms < _SEEN_RESOLUTION_MS:
            return
        client.seen_ms = clock_ms
        row = _CLIENT.pack(clock_ms, client.first_unacknowledged)
        self._state.put(client.row_key, row, client.row)
        client.row = row

    def _find(self, client_id: int) -> _Client | None:
        client = self._clients.get(client_id)
        if client is not None:
            return client
        row = self._state.get(keys.client_key(client_id))
        if row is None:
            return None
        answers = {
            keys.sequence_of_row(row_key): answer
            for row_key, answer in self._state.scan(*keys.answer_range(client_id))
        }
        client = self._clients[client_id] = _Client(client_id, row, answers)
        return client


def is_idle(seen_ms: int, clock_ms: int) -> bool:
    """Whether a client is to be forgotten."""
    return clock_ms - seen_ms >= CLIENT_IDLE_MS


def idle_clients(reader: StateReader, clock_ms: int) -> Iterator[int]:
    """The clients that are to be forgotten; a look at every client."""
    for row_key, row in reader.scan(*keys.CLIENTS):
        if is_idle(_CLIENT.unpack(row)[0], clock_ms):
            yield keys.client_of_row(row_key)
