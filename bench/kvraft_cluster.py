"""kvraft, three nodes on loopback, driven through its own gRPC API."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from bench.load import Workload
from bench.processes import running
from kvraft.members import free_ports
from kvraft.v1 import cluster_pb2, cluster_pb2_grpc, common_pb2, kv_pb2

_SERVICE = "/kvraft.v1.KvService"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three running nodes."""

    addresses: list[str]
    pids: list[int]


@contextlib.contextmanager
def cluster(directory: Path, ports: Sequence[int] | None = None) -> Iterator[Cluster]:
    """Runs three nodes. `ports`, six of them, for nodes that are started again on what they have."""
    ports = ports or free_ports(6)
    members = [f"{i + 1}=127.0.0.1:{ports[i]},127.0.0.1:{ports[i + 3]}" for i in range(3)]
    commands = [
        [
            sys.executable,
            "-m",
            "kvraft",
            "serve",
            f"--node-id={i + 1}",
            "--cluster-name=bench",
            f"--data-dir={directory}/n{i + 1}",
            *(f"--member={member}" for member in members),
        ]
        for i in range(3)
    ]
    with running(commands, ports[:3], directory) as pids:
        yield Cluster([f"127.0.0.1:{port}" for port in ports[:3]], pids)


async def leader_address(cluster: Cluster) -> str:
    """Waits for a leader and says where it serves."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for address in cluster.addresses:
            async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
                status = await cluster_pb2_grpc.ClusterServiceStub(channel).Status(
                    cluster_pb2.StatusRequest()
                )
            if status.role == cluster_pb2.ROLE_LEADER:
                return address
        await asyncio.sleep(0.1)
    raise RuntimeError("no leader was elected within 20 s")


def put(callers: int, value: bytes) -> Workload:
    return Workload(
        path=f"{_SERVICE}/Put",
        make_request=lambda n: kv_pb2.PutRequest(key=b"key%08d" % n, value=value).SerializeToString(),
        callers=callers,
    )


def get(callers: int, consistency: common_pb2.Consistency = common_pb2.CONSISTENCY_LINEARIZABLE) -> Workload:
    return Workload(
        path=f"{_SERVICE}/Get",
        make_request=lambda n: kv_pb2.GetRequest(
            key=b"key%08d" % n, consistency=consistency
        ).SerializeToString(),
        callers=callers,
    )


def batch(callers: int, value: bytes, size: int) -> Workload:
    def make(n: int) -> bytes:
        return kv_pb2.BatchWriteRequest(
            operations=[
                kv_pb2.WriteOperation(put=kv_pb2.PutOperation(key=b"key%08d" % (n * size + i), value=value))
                for i in range(size)
            ]
        ).SerializeToString()

    return Workload(
        path=f"{_SERVICE}/BatchWrite", make_request=make, callers=callers, operations_per_call=size
    )
