"""`make bench`: kvraft against a bare echo and, where it is installed, against etcd, in one run."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench import echo, kvraft_cluster, library
from bench.load import Measured, Workload, run
from bench.peers import etcd
from bench.processes import cpu_seconds, resident_bytes, running
from kvraft.members import free_ports

VALUE_BYTES = 256
BATCH = 100
BATCH_CALLERS = 8
CALLERS = (1, 64, 256)
LIBRARY_CALLERS = (1, 64, 1_000)
IDLE_SECONDS = 10.0
TABLE_COLUMNS = 120

Results = dict[str, Measured]


def _workloads(store: object, value: bytes, callers_of_calls: Iterable[int] = CALLERS) -> dict[str, Workload]:
    put, get, batch = (getattr(store, name) for name in ("put", "get", "batch"))
    found: dict[str, Workload] = {}
    for callers in callers_of_calls:
        found[f"put, {callers} callers"] = put(callers, value)
    for callers in callers_of_calls:
        found[f"get, {callers} callers"] = get(callers)
    found[f"batches of {BATCH} puts, {BATCH_CALLERS} callers"] = batch(BATCH_CALLERS, value, BATCH)
    return found


async def _drive(address: str, workloads: dict[str, Workload], seconds: float, console: Console) -> Results:
    results: Results = {}
    for name, workload in workloads.items():
        results[name] = await run(address, replace(workload, seconds=seconds))
        console.print(f"  {name}: {results[name].operations_per_s:,.0f}/s", style="dim", highlight=False)
    return results


def _bench_echo(directory: Path, value: bytes, seconds: float, console: Console) -> Results:
    (port,) = free_ports(1)
    with running([[sys.executable, "-m", "bench.echo", str(port)]], [port], directory):
        workloads = {
            f"put, {callers} callers": Workload(path=echo.PATH, make_request=lambda _: value, callers=callers)
            for callers in CALLERS
        }
        return asyncio.run(_drive(f"127.0.0.1:{port}", workloads, seconds, console))


async def _drive_library(addresses: Sequence[str], value: bytes, seconds: float, console: Console) -> Results:
    results: Results = {}
    for kind, call in (("put", library.put(value)), ("get", library.get())):
        for callers in LIBRARY_CALLERS:
            name = f"{kind}, {callers} callers"
            results[name] = await library.run(addresses, call, callers=callers, seconds=seconds)
            console.print(
                f"  library, {name}: {results[name].operations_per_s:,.0f}/s", style="dim", highlight=False
            )
    return results


def _bench_kvraft(
    directory: Path, value: bytes, seconds: float, console: Console
) -> tuple[Results, Results, str]:
    with kvraft_cluster.cluster(directory) as cluster:
        leader = asyncio.run(kvraft_cluster.leader_address(cluster))
        time.sleep(1)
        before = [cpu_seconds(pid) for pid in cluster.pids]
        time.sleep(IDLE_SECONDS)
        shares = [
            (cpu_seconds(pid) - used) / IDLE_SECONDS for pid, used in zip(cluster.pids, before, strict=True)
        ]
        resident = [resident_bytes(pid) / (1 << 20) for pid in cluster.pids]
        idle = f"idle node: {max(shares):.1%} of a core, {max(resident):.0f} MiB resident (the most of three)"
        results = asyncio.run(_drive(leader, _workloads(kvraft_cluster, value), seconds, console))
        through_library = asyncio.run(_drive_library(cluster.addresses, value, seconds, console))
        return results, through_library, idle


def _bench_etcd(directory: Path, value: bytes, seconds: float, console: Console) -> Results:
    with etcd.cluster(directory) as addresses:
        leader = asyncio.run(etcd.leader_address(addresses))
        callers = sorted({*CALLERS, *LIBRARY_CALLERS})
        return asyncio.run(_drive(leader, _workloads(etcd, value, callers), seconds, console))


def _table(title: str, kvraft: Results, echoes: Results, etcds: Results) -> Table:
    table = Table(title=f"{title}: operations per second, {VALUE_BYTES}-byte values, fsynced on a majority")
    table.add_column("workload")
    for name in ("kvraft", "p50 ms", "p99 ms", "of echo"):
        table.add_column(name, justify="right")
    if etcds:
        for name in ("etcd", "p50 ms", "p99 ms", "of etcd"):
            table.add_column(name, justify="right")
    for name, measured in kvraft.items():
        echoed = echoes.get(name.replace("get", "put"))
        row = [name, f"{measured.operations_per_s:,.0f}", f"{measured.p50_ms:.1f}", f"{measured.p99_ms:.1f}"]
        row.append(f"{measured.operations_per_s / echoed.operations_per_s:.0%}" if echoed else "")
        if peer := etcds.get(name):
            row += [f"{peer.operations_per_s:,.0f}", f"{peer.p50_ms:.1f}", f"{peer.p99_ms:.1f}"]
            row.append(f"{measured.operations_per_s / peer.operations_per_s:.2f}")
        table.add_row(*row)
    return table


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each workload is measured.")
@click.option("--json", "json_file", type=click.File("w"), help="Write the numbers there as well.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the stores write; default: a temporary one."
)
def main(seconds: float, json_file: click.utils.LazyFile | None, data_dir: Path | None) -> None:
    """Compare kvraft with a bare echo and with etcd, in one run."""
    console = Console()
    wide = Console(width=max(console.width, TABLE_COLUMNS))
    value = os.urandom(VALUE_BYTES)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", highlight=False
    )
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="kvraft-bench-") as name:
        directories = {each: Path(name, each) for each in ("echo", "kvraft", "etcd")}
        for directory in directories.values():
            directory.mkdir()
        console.print("bare grpc.aio echo, one process")
        echoes = _bench_echo(directories["echo"], value, seconds, console)
        console.print("kvraft, three nodes, driven at the leader")
        kvraft, through_library, idle = _bench_kvraft(directories["kvraft"], value, seconds, console)
        etcds: Results = {}
        if etcd.is_installed():
            console.print("etcd, three nodes")
            etcds = _bench_etcd(directories["etcd"], value, seconds, console)
        else:
            console.print(
                "etcd is not installed: no comparison with it (Debian: apt-get install etcd-server)"
            )
    wide.print(_table("one call, one message", kvraft, echoes, etcds))
    wide.print(_table("through the client library", through_library, {}, etcds))
    console.print(idle, highlight=False)
    if json_file is not None:
        stores = {"echo": echoes, "kvraft": kvraft, "kvraft library": through_library, "etcd": etcds}
        json.dump(
            {store: {k: asdict(v) for k, v in found.items()} for store, found in stores.items()}, json_file
        )


if __name__ == "__main__":
    main()
