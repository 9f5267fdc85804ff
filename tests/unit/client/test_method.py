"""The library's RPCs are the contract's, and what an attempt of each can do is what the contract says."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

import kvraft.client
import kvraft.v1
from kvraft.client.method import Method
from kvraft.v1 import pipeline_pb2, raft_pb2, user_data_pb2

MODULES = [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(kvraft.client.__path__, "kvraft.client.")
]
CONTRACT: list[FileDescriptor] = [
    importlib.import_module(f"kvraft.v1.{info.name}").DESCRIPTOR
    for info in pkgutil.iter_modules(kvraft.v1.__path__)
    if info.name.endswith("_pb2")
]
PEERS = raft_pb2.DESCRIPTOR
"""What nodes say to each other, which no client does."""
UNUSED = {"/kvraft.v1.LeaseService/KeepAliveLeases"}
"""A stream for gateways with very many leases; the library renews each by itself."""
BATCHED = {
    field.message_type
    for command in (pipeline_pb2.WriteCommand, user_data_pb2.UserDataCommand)
    for field in command.DESCRIPTOR.fields
    if field.message_type.file.services_by_name
}
"""The requests that travel in the pipeline as commands. (Of files with services: others nodes propose.)"""

RPCS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{rpc.name}": rpc
    for file in CONTRACT
    if file is not PEERS
    for service in file.services_by_name.values()
    for rpc in service.methods
}
METHODS = {
    method.path: method
    for module in MODULES
    for method in vars(module).values()
    if isinstance(method, Method)
}


def _level(rpc: MethodDescriptor) -> int:
    return rpc.GetOptions().idempotency_level


def test_the_library_knows_the_rpcs_of_the_contract_by_path_and_response() -> None:
    in_the_pipeline = {path for path, rpc in RPCS.items() if rpc.input_type in BATCHED}
    assert len(in_the_pipeline) == len(BATCHED), "each is what it would be as a call of its own"
    library = {path: method.parse(b"").DESCRIPTOR.full_name for path, method in METHODS.items()}
    assert library.items() <= {path: rpc.output_type.full_name for path, rpc in RPCS.items()}.items()
    assert library.keys() | in_the_pipeline | UNUSED == RPCS.keys()


@pytest.mark.parametrize("path", RPCS)
def test_a_command_is_never_called_a_read(path: str) -> None:
    rpc = RPCS[path]
    if rpc.input_type in BATCHED or "request_id" in rpc.input_type.fields_by_name:
        assert _level(rpc) != MethodOptions.NO_SIDE_EFFECTS


@pytest.mark.parametrize("path", RPCS)
def test_what_has_no_number_says_how_it_may_be_repeated(path: str) -> None:
    rpc = RPCS[path]
    is_numbered = rpc.input_type in BATCHED or "request_id" in rpc.input_type.fields_by_name
    # What is said in these streams is repeated by what their frames carry: numbers of batches and of queues.
    if not is_numbered and rpc.name not in ("Pipeline", "ReceiveMessages"):
        assert _level(rpc) != MethodOptions.IDEMPOTENCY_UNKNOWN


@pytest.mark.parametrize("path", METHODS)
def test_the_library_takes_it_from_the_contract(path: str) -> None:
    level = _level(RPCS[path])
    assert METHODS[path].changes_state == (level != MethodOptions.NO_SIDE_EFFECTS)
    assert METHODS[path].is_repeatable == (level != MethodOptions.IDEMPOTENCY_UNKNOWN)


def test_sending_in_order_renewing_and_exporting_may_have_been_applied_and_may_be_repeated() -> None:
    for name in ("BatchSendMessages", "SendMessage", "KeepAliveLease", "ExportUser", "RegisterClient"):
        (method,) = [each for each in METHODS.values() if each.name == name]
        assert method.changes_state
        assert method.is_repeatable
