"""Every code block of README and docs does what the page says, on a real cluster."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kvraft.testing import LocalCluster
from tests.docs.blocks import PAGES, PROSE, ROOT, blocks_of
from tests.docs.running import Page, commands_of, looks_like


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_works(page: Path, tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.language not in PROSE and not block.not_run]
    if blocks:
        with LocalCluster() as cluster:
            asyncio.run(Page(cluster, tmp_path).run(blocks))


def test_a_block_names_its_language() -> None:
    assert [str(block) for page in PAGES for block in blocks_of(page) if not block.language] == []


def test_no_more_blocks_are_passed_over_than_these() -> None:
    """What only another program, or a whole network, can run. Each says so above itself."""
    passed_over = {f"{block.page.name}: {block.not_run}" for page in PAGES for block in blocks_of(page)}
    passed_over = {each for each in passed_over if not each.endswith(": ")}
    assert passed_over == NOT_RUN


NOT_RUN = {
    "README.md: the cluster is there",
    "README.md: the demo has a test of its own",
    "README.md: this is it",
    "deploying.md: it installs, as make install does",
    "languages.md: needs Go's protoc plugins",
    "languages.md: needs grpcurl",
    "operations.md: every test of a cluster does",
    "operations.md: tests/cluster/test_dev.py does",
    "transactions.md: needs grpcurl",
}


def test_a_comment_above_a_block_is_understood(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- given\na = 1\n-->\n```python\nassert a == 1\n```\n\n```text\nx\n```\n")
    first, second = blocks_of(page)
    assert (first.line, first.language, first.code, first.given) == (7, "python", "assert a == 1\n", "a = 1")
    assert (second.language, second.given) == ("text", "")
    page.write_text("<!-- note run: never -->\n```sh\nexit 1\n```\n")
    with pytest.raises(ValueError, match="note run"):
        blocks_of(page)


def test_commands_have_their_output() -> None:
    code = "$ one \\\n    more\nprinted\nagain\n$ two <<'END'\n> line\nEND\n$ three\n"
    assert commands_of(code) == [
        ("one \\\n    more", "printed\nagain\n"),
        ("two <<'END'\nline\nEND", ""),
        ("three", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "is_like"),
    [
        ("", "anything", True),
        ("a b", "a   b\n", True),
        ("a b", "a c", False),
        ("id ... at ...", "id 17 at noon", True),
        ("id ... at ...", "id 17", False),
        ("1.5", "1x5", False),
    ],
)
def test_output_looks_like_what_is_shown(shown: str, printed: str, is_like: bool) -> None:
    assert looks_like(shown, printed) is is_like


LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def anchors_of(page: Path) -> set[str]:
    """The headings of a page as they stand in a link."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert [page.name for page in PAGES[1:] if f"({page.name}" not in index and page.name != "index.md"] == []
