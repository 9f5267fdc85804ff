"""The contract without our library: reflection, health, and a client made by plain protoc."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.cluster.harness import Cluster

PROTOS = Path(__file__).parents[2] / "protos"

FOREIGN_CLIENT = """
import os, sys
sys.path.append(os.environ["LIBRARIES"])
import grpc
from kvraft.v1 import kv_pb2, kv_pb2_grpc
assert "generated" in kv_pb2.__file__, kv_pb2.__file__
first, second = sys.argv[1:]
options = [("grpc.enable_http_proxy", 0)]
with grpc.insecure_channel(first, options=options) as channel:
    put = kv_pb2_grpc.KvServiceStub(channel).Put(kv_pb2.PutRequest(key=b"foreign", value=b"client"))
with grpc.insecure_channel(second, options=options) as channel:
    got = kv_pb2_grpc.KvServiceStub(channel).Get(kv_pb2.GetRequest(key=b"foreign"))
assert got.kv.value == b"client" and got.kv.mod_revision == put.header.revision, (put, got)
"""


def test_reflection_lists_the_services_and_describes_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, nodes=1) as cluster:
            await asyncio.to_thread(_reflect, cluster.members[1].client_address)

    asyncio.run(story())


def _reflect(address: str) -> None:
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        assert {"kvraft.v1.KvService", "kvraft.v1.ClusterService", "grpc.health.v1.Health"} <= services
        assert "kvraft.v1.RaftService" not in services, "peers' business is not for the client port"
        service = DescriptorPool(database).FindServiceByName("kvraft.v1.KvService")
        assert {"Put", "Get", "Range"} <= {method.name for method in service.methods}
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "kvraft.v1.KvService"):
            answers = health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers), name
            answers.cancel()


def test_a_client_generated_by_plain_protoc_puts_and_gets(tmp_path: Path) -> None:
    """In a directory of its own, so that nothing of the installed package is used."""
    generated = tmp_path / "generated"
    shutil.copytree(PROTOS / "kvraft", generated / "protos" / "kvraft")
    files = [str(path.relative_to(generated)) for path in (generated / "protos").rglob("kv.proto")]
    files += [str(path.relative_to(generated)) for path in (generated / "protos").rglob("common.proto")]
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I",
        "protos",
        "--python_out=.",
        "--grpc_python_out=.",
    ]
    subprocess.run([*command, *files], cwd=generated, check=True)
    (generated / "client.py").write_text(FOREIGN_CLIENT)

    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            addresses = [cluster.members[each].client_address for each in await cluster.followers()]
            # -S: no .pth files, so that the installed kvraft is not found; grpc is, by LIBRARIES.
            await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-S", "client.py", *addresses],
                cwd=generated,
                env={"LIBRARIES": sysconfig.get_path("platlib")},
                check=True,
            )

    asyncio.run(story())
