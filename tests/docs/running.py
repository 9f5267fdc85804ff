"""Runs the blocks of one page, one after the other, as a reader of it would: the same cluster, the same
names of Python, the same folder."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import kvraft.client
from kvraft.config import load_config
from kvraft.testing import LocalCluster
from tests.docs.blocks import Block

PATIENCE_S = 60.0
WORKS_S = 1.0
"""How long what does not end by itself is left to work before it is stopped."""
SHOWN = {
    "127.0.0.1:7001": 1,
    "127.0.0.1:7003": 2,
    "127.0.0.1:7005": 3,
    "10.0.0.1:7001": 1,
    "10.0.0.2:7001": 2,
    "10.0.0.3:7001": 3,
}
"""Which node of the test's cluster stands for an address in the docs."""
_KEPT = "set -a; [ ! -f .variables ] || . ./.variables; trap 'export -p > .variables' EXIT\n"
"""Before each command: the variables of those before it are there, as in the terminal of a reader."""
_EXIT_CODE = re.compile(r"# exit code (\d+)$")
_UNTIL_CTRL_C = re.compile(r"# .*until Ctrl-C")


class Page:
    """A reader of a page, with a cluster."""

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        (folder / ".venv").symlink_to(sys.prefix)
        self._names: dict[str, Any] = {name: getattr(kvraft.client, name) for name in kvraft.client.__all__}
        self._names |= {"__name__": "__main__", "asyncio": asyncio}
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "110",
            "KVRAFT_ENDPOINTS": cluster.endpoints,
        }
        self._run: dict[str, Callable[[Block], Any]] = {
            "python": self._python,
            "console": self._console,
            "sh": self._shell,
            "toml": self._configuration,
            "json": lambda block: json.loads(block.code),
        }

    async def run(self, blocks: list[Block]) -> None:
        """Runs every block. Raises AssertionError, which names the block, for one that does not work."""
        async with kvraft.client.Client(self._cluster.endpoints, timeout_s=10.0) as client:
            for block in blocks:
                self._names["client"] = client
                try:
                    assert block.language in self._run, f"a block of {block.language!r}: which is that?"
                    result = self._run[block.language](block)
                    if result is not None and asyncio.iscoroutine(result):
                        await result
                except Exception as error:
                    raise AssertionError(f"{block}: {type(error).__name__}: {error}") from error

    def _translated(self, code: str) -> str:
        """The same with the addresses of the nodes that run."""
        for address, node_id in SHOWN.items():
            code = code.replace(address, self._cluster.endpoint(node_id))
        return code

    def _configuration(self, block: Block) -> None:
        path = self._folder / f"line_{block.line}.toml"
        path.write_text(block.code)
        load_config(file=path, environment={}, flags={"node_id": "1"})

    # --- Python -------------------------------------------------------------------------------

    async def _python(self, block: Block) -> None:
        code = self._translated(block.code)
        if "asyncio.run(" in code or "def test_" in code:
            await asyncio.to_thread(self._script, block, code)
            return
        if block.given:
            await self._evaluate(self._translated(block.given), f"what is given to {block}")
        running = asyncio.create_task(self._evaluate(code, str(block)))
        done, _ = await asyncio.wait((running,), timeout=WORKS_S if block.until_stopped else PATIENCE_S)
        if done:
            running.result()
        else:
            assert block.until_stopped, f"it did not end within {PATIENCE_S:.0f} s"
            running.cancel()
            await asyncio.wait((running,))
            if not running.cancelled():
                running.result()

    async def _evaluate(self, code: str, name: str) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled = compile(code, name, "exec", flags=flags)
        assert isinstance(compiled, CodeType)
        result = eval(compiled, self._names)  # code of our own pages
        if result is not None:
            await result

    def _script(self, block: Block, code: str) -> None:
        path = self._folder / f"test_line_{block.line}.py"
        path.write_text(code)
        pytest_options = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in code else []
        ran = subprocess.run(
            [sys.executable, *pytest_options, str(path)],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    # --- the shell ----------------------------------------------------------------------------

    async def _console(self, block: Block) -> None:
        await self._command(self._translated(f"{block.given}\n:"), "")
        for command, output in commands_of(block.code):
            await self._command(self._translated(command), self._translated(output))

    async def _shell(self, block: Block) -> None:
        await self._command(self._translated(f"{block.given}\n{block.code}"), "")

    async def _command(self, command: str, output: str) -> None:
        exit_code = _EXIT_CODE.search(command.splitlines()[-1])
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            _KEPT + command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        answer = asyncio.create_task(process.communicate())
        if _UNTIL_CTRL_C.search(command):
            await asyncio.wait((answer,), timeout=2 * WORKS_S)
            assert not answer.done(), f"{command}: ended by itself: {answer.result()}"
            os.killpg(process.pid, signal.SIGINT)
        done, _ = await asyncio.wait((answer,), timeout=PATIENCE_S)
        if not done:
            os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = (part.decode() for part in await answer)
        allowed = {int(exit_code[1])} if exit_code else {0, 130} if _UNTIL_CTRL_C.search(command) else {0}
        assert process.returncode in allowed, f"{command}: exit {process.returncode}\n{stdout}{stderr}"
        assert looks_like(output, stdout + stderr), f"{command}: it prints\n{stdout}{stderr}"


def commands_of(code: str) -> list[tuple[str, str]]:
    """Returns the commands of a console block ("$ ..."), each with the output that is shown for it. A command
    goes on after a backslash, and up to the end of its here-document."""
    found: list[tuple[str, str]] = []
    lines = iter(code.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            command, output = found.pop()
            found.append((command, f"{output}{line}\n"))
            continue
        command = line.removeprefix("$ ")
        while command.endswith("\\"):
            command += "\n" + next(lines)
        if (document := re.search(r"<<'?(\w+)'?", command)) is not None:
            while command.rpartition("\n")[2].strip() != document[1]:
                command += "\n" + next(lines).removeprefix("> ")
        found.append((command, ""))
    return found


def looks_like(shown: str, printed: str) -> bool:
    """Returns whether the output is what the page shows, in which "..." stands for anything and white space
    is as good as any other. Where the page shows nothing, anything will do."""
    if not shown.strip():
        return True
    parts = (re.escape(" ".join(part.split())) for part in shown.split("..."))
    return re.fullmatch(r"\s*.*\s*".join(parts), " ".join(printed.split())) is not None
