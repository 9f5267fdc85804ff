from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

from kvraft.client import (
    cluster,
    contacts,
    groups,
    kv,
    leader,
    lease,
    pipeline,
    session,
    session_watch,
    sessions,
    stream,
    watch,
)
from kvraft.client.method import Method
from kvraft.v1 import (
    client_pb2,
    cluster_pb2,
    contact_pb2,
    group_pb2,
    kv_pb2,
    lease_pb2,
    pipeline_pb2,
    session_pb2,
    user_data_pb2,
)

MODULES = (
    cluster,
    contacts,
    groups,
    kv,
    leader,
    lease,
    pipeline,
    session,
    session_watch,
    sessions,
    stream,
    watch,
)
CONTRACT = (
    client_pb2,
    cluster_pb2,
    contact_pb2,
    group_pb2,
    kv_pb2,
    lease_pb2,
    pipeline_pb2,
    session_pb2,
)
UNUSED = {"/kvraft.v1.LeaseService/KeepAliveLeases"}
"""A stream for gateways with very many leases; the library renews each by itself."""


def _rpcs() -> dict[str, MethodDescriptor]:
    return {
        f"/{service.full_name}/{rpc.name}": rpc
        for module in CONTRACT
        for service in module.DESCRIPTOR.services_by_name.values()
        for rpc in service.methods
    }


def test_the_library_knows_the_rpcs_of_the_contract_by_path_and_response() -> None:
    rpcs = _rpcs()
    contract = {module.DESCRIPTOR for module in CONTRACT}
    commands = {
        field.message_type
        for command in (pipeline_pb2.WriteCommand, user_data_pb2.UserDataCommand)
        for field in command.DESCRIPTOR.fields
        if field.message_type.file in contract
    }
    in_the_pipeline = {path for path, rpc in rpcs.items() if rpc.input_type in commands}
    assert len(in_the_pipeline) == len(commands), "each is what it would be as a call of its own"
    library = {
        method.path: method.parse(b"").DESCRIPTOR.full_name
        for module in MODULES
        for method in vars(module).values()
        if isinstance(method, Method)
    }
    assert library.items() <= {path: rpc.output_type.full_name for path, rpc in rpcs.items()}.items()
    assert library.keys() | in_the_pipeline | UNUSED == rpcs.keys()


def test_only_what_cannot_change_the_state_is_called_a_read() -> None:
    reads = {
        method.name
        for module in MODULES
        for method in vars(module).values()
        if isinstance(method, Method) and not method.writes
    }
    # A renewal or a registration that comes twice changes no more than one.
    assert reads - {"KeepAliveLease", "RegisterClient", "UnregisterClient"} == {
        "Get",
        "GetContact",
        "GetGroup",
        "GetLease",
        "GetPresence",
        "GetSession",
        "ListBlockedUsers",
        "ListContacts",
        "ListDevices",
        "ListGroupMembers",
        "ListLeases",
        "ListSessions",
        "ListUserGroups",
        "Range",
        "Status",
        "StreamRange",
        "Watch",
        "WatchSessions",
    }
