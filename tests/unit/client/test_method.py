from __future__ import annotations

from kvraft.client import cluster, kv, stream
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2, kv_pb2


def test_the_library_knows_every_rpc_of_the_contract_by_path_and_response() -> None:
    contract = {
        f"/{service.full_name}/{rpc.name}": rpc.output_type.full_name
        for file in (kv_pb2.DESCRIPTOR, cluster_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for rpc in service.methods
    }
    library = {
        method.path: method.parse(b"").DESCRIPTOR.full_name
        for module in (kv, cluster, stream)
        for method in vars(module).values()
        if isinstance(method, Method)
    }
    assert library == contract


def test_only_what_cannot_change_the_state_is_called_a_read() -> None:
    reads = {
        method.name
        for module in (kv, cluster, stream)
        for method in vars(module).values()
        if isinstance(method, Method) and not method.writes
    }
    assert reads == {"Get", "Range", "StreamRange", "Status"}
