"""What the services of user data have in common: how they write, and when they may read."""

from __future__ import annotations

from typing import Any

from kvraft.machine.results import UserDataResult
from kvraft.node.node import Node
from kvraft.rpc.freshness import until_fresh
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import check_consistency
from kvraft.rpc.users.user_requests import user_data_command
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import StateStore
from kvraft.v1 import common_pb2


class UserService:
    """The base of the servicers of one node. `kind` is a command's name in `UserDataCommand`."""

    def __init__(self, node: Node, headers: ResponseHeaders) -> None:
        self._node = node
        self._headers = headers

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    async def _write(self, kind: str, request: Any) -> Any:
        """Checks, proposes and waits; the response, with its header: at the revision that the machine has put
        there, of a message that was sent before, or else of the answer. Raises RequestError."""
        write = user_data_command(kind, request)
        answer = await self._node.write(write.command, grows_state=write.grows_state)
        result = answer.result
        assert isinstance(result, UserDataResult), result
        response = type(result.response)()
        response.CopyFrom(result.response)
        header = response.header  # type: ignore[attr-defined]
        header.CopyFrom(self._headers.at(header.revision or answer.revision))
        return response

    async def _fresh(self, consistency: int, min_revision: int, page_revision: int = 0) -> StateStore:
        """The state, as fresh as it is asked for; of a further page, not older than the page before. It must
        be looked at before anything is awaited again. Raises RequestError."""
        if page_revision:
            check_consistency(consistency, min_revision)
            await self._node.at_least(max(page_revision, min_revision))
        else:
            await until_fresh(self._node, consistency, min_revision)
        return self._node.replica.state

    def _header(self) -> common_pb2.ResponseHeader:
        """The header of a read of the state as it is now."""
        return self._headers.at(self._node.replica.machine.revision)
