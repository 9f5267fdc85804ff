"""A machine over a plain state, to which commands of user data are given."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.machine.results import Answer, Failed, FailureReason, GrantLeaseResult, UserDataResult
from kvraft.v1 import command_pb2, user_data_pb2
from tests.unit.machine.plain_state import PlainState

TERM = 5
START_MS = 1_700_000_000_000
TTL_MS = 10_000


class UserStore:
    """Its leader has a clock that the test moves."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.machine = Machine(self.state)
        self.now_ms = START_MS

    def apply(self, command: command_pb2.Command) -> Answer:
        """An entry of one command."""
        group = command_pb2.CommandGroup(origin_id=1, group_id=7, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.now_ms, groups=[group])
        (applied,) = self.machine.apply(batch.SerializeToString(), TERM)
        (answer,) = applied.answers
        return answer

    def do(self, kind: str, request: Message) -> Any:
        """The response of a command of user data, or why it failed."""
        command = command_pb2.Command(user_data=user_data_pb2.UserDataCommand(**{kind: request}))
        result = self.apply(command).result
        if isinstance(result, Failed):
            return result.reason
        assert isinstance(result, UserDataResult)
        assert result.kind == kind
        return result.response

    def refused(self, kind: str, request: Message) -> FailureReason:
        """Why a command failed, which then has changed nothing."""
        rows, revision = self.rows(), self.machine.revision
        reason = self.do(kind, request)
        assert isinstance(reason, FailureReason)
        assert (self.rows(), self.machine.revision) == (rows, revision)
        return reason

    def grant(self, ttl_ms: int = TTL_MS) -> int:
        """A new lease."""
        result = self.apply(command_pb2.Command(grant_lease={"ttl_ms": ttl_ms})).result
        assert isinstance(result, GrantLeaseResult)
        return result.lease_id

    def revoke(self, lease_id: int) -> Answer:
        return self.apply(command_pb2.Command(revoke_lease={"lease_id": lease_id}))

    def expire(self, *lease_ids: int) -> Answer:
        """What a leader proposes that holds these for past their time."""
        return self.apply(command_pb2.Command(expire={"term": TERM, "lease_ids": lease_ids}))

    def rows(self) -> dict[bytes, bytes]:
        """All but those of the machine itself, which hold the clock."""
        return {key: row for key, row in self.state.rows.items() if key[0]}
