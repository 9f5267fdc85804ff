"""etcd, three nodes on loopback, driven through its own gRPC API."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc.aio

from bench.load import Workload
from bench.peers import etcd_pb2
from bench.processes import running
from kvraft.members import free_ports

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"
TXN = "/etcdserverpb.KV/Txn"
STATUS = "/etcdserverpb.Maintenance/Status"


def is_installed() -> bool:
    return shutil.which("etcd") is not None


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[list[str]]:
    """Runs three nodes; yields their client addresses."""
    ports = free_ports(6)
    clients, peers = ports[:3], ports[3:]
    initial = ",".join(f"n{i}=http://127.0.0.1:{port}" for i, port in enumerate(peers))
    commands = [
        [
            "etcd",
            f"--name=n{i}",
            f"--data-dir={directory}/n{i}",
            f"--listen-client-urls=http://127.0.0.1:{clients[i]}",
            f"--advertise-client-urls=http://127.0.0.1:{clients[i]}",
            f"--listen-peer-urls=http://127.0.0.1:{peers[i]}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers[i]}",
            f"--initial-cluster={initial}",
            "--log-level=error",
        ]
        for i in range(3)
    ]
    with running(commands, clients, directory):
        yield [f"127.0.0.1:{port}" for port in clients]


async def leader_address(addresses: Sequence[str]) -> str:
    """Waits for a leader and says where it serves."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for address in addresses:
            async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
                answer = await channel.unary_unary(STATUS)(etcd_pb2.StatusRequest().SerializeToString())
            status = etcd_pb2.StatusResponse.FromString(answer)
            if status.leader != 0 and status.leader == status.header.member_id:
                return address
        await asyncio.sleep(0.1)
    raise RuntimeError("etcd elected no leader within 20 s")


def put(callers: int, value: bytes) -> Workload:
    return Workload(
        path=PUT,
        make_request=lambda n: etcd_pb2.PutRequest(key=b"key%08d" % n, value=value).SerializeToString(),
        callers=callers,
    )


def get(callers: int) -> Workload:
    return Workload(
        path=RANGE,
        make_request=lambda n: etcd_pb2.RangeRequest(key=b"key%08d" % n).SerializeToString(),
        callers=callers,
    )


def batch(callers: int, value: bytes, size: int) -> Workload:
    def make(n: int) -> bytes:
        puts = [etcd_pb2.PutRequest(key=b"key%08d" % (n * size + i), value=value) for i in range(size)]
        return etcd_pb2.TxnRequest(
            success=[etcd_pb2.RequestOp(request_put=each) for each in puts]
        ).SerializeToString()

    return Workload(path=TXN, make_request=make, callers=callers, operations_per_call=size)
