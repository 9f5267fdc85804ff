"""The code blocks of a page, and what the page says about running them.

A comment right above a block speaks to the tests and to nobody else:

    <!-- not run: REASON -->        nothing here can run it
    <!-- until stopped -->          it does not end by itself; it is cancelled while it works
    <!-- given                      code that runs before it, in the block's own language
    ...
    -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROSE = frozenset({"text", "proto", "mermaid"})
"""Languages of blocks that show something and are not code to be run."""
_FENCE = re.compile(
    r"(?:^<!--(?P<note>(?:(?!-->).)*?)-->\n+)?^```(?P<language>[\w-]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Of its first line of code, from 1."""
    language: str
    code: str
    given: str = ""
    until_stopped: bool = False
    not_run: str = ""
    """Why it is not run; empty if it is."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Returns the blocks of a page in their order. Raises ValueError for a comment that is not understood."""
    text = page.read_text()
    return [_block(page, text, match) for match in _FENCE.finditer(text)]


def _block(page: Path, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start("code")) + 1
    note = (match["note"] or "").strip()
    given = until_stopped = not_run = ""
    if note.startswith("given\n"):
        given = note.removeprefix("given\n")
    elif note == "until stopped":
        until_stopped = note
    elif note.startswith("not run: "):
        not_run = note.removeprefix("not run: ")
    elif note:
        raise ValueError(f"{page.name}:{line}: what does {note!r} above this block mean?")
    return Block(
        page=page,
        line=line,
        language=match["language"],
        code=match["code"],
        given=given,
        until_stopped=bool(until_stopped),
        not_run=not_run,
    )
