from __future__ import annotations

from kvraft.client import cluster, kv, leader, pipeline, session, stream
from kvraft.client.method import Method
from kvraft.v1 import client_pb2, cluster_pb2, kv_pb2, pipeline_pb2

MODULES = (cluster, kv, leader, pipeline, session, stream)


def test_the_library_knows_the_rpcs_of_the_contract_by_path_and_response() -> None:
    contract = {
        f"/{service.full_name}/{rpc.name}": rpc.output_type.full_name
        for file in (
            client_pb2.DESCRIPTOR,
            cluster_pb2.DESCRIPTOR,
            kv_pb2.DESCRIPTOR,
            pipeline_pb2.DESCRIPTOR,
        )
        for service in file.services_by_name.values()
        for rpc in service.methods
    }
    in_the_pipeline = {
        f"/kvraft.v1.KvService/{''.join(word.title() for word in field.name.split('_'))}"
        for field in pipeline_pb2.WriteCommand.DESCRIPTOR.fields
    }
    library = {
        method.path: method.parse(b"").DESCRIPTOR.full_name
        for module in MODULES
        for method in vars(module).values()
        if isinstance(method, Method)
    }
    assert in_the_pipeline <= contract.keys()
    assert library.items() <= contract.items()
    assert library.keys() | in_the_pipeline | {"/kvraft.v1.KvService/Watch"} == contract.keys()


def test_only_what_cannot_change_the_state_is_called_a_read() -> None:
    reads = {
        method.name
        for module in MODULES
        for method in vars(module).values()
        if isinstance(method, Method) and not method.writes
    }
    # A registration changes nothing that anybody else could see.
    assert reads == {"Get", "Range", "StreamRange", "Status", "RegisterClient", "UnregisterClient"}
