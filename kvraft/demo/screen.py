"""The show: scenes, what happens in them, and which promises held. Plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

_INDENT = 3


class Screen:
    """Says what it is told, and counts the promises."""

    def __init__(self) -> None:
        self._console = Console()
        self._scenes = 0
        self.kept = 0
        self.broken = 0

    def scene(self, title: str) -> None:
        self._scenes += 1
        self._line(f"\n[bold]{self._scenes}. {escape(title)}[/]")

    def say(self, text: str) -> None:
        self._line(escape(text), indent=_INDENT)

    def promise(self, what: str, *, kept: bool) -> None:
        """Something that must hold, and whether it did."""
        if kept:
            self.kept += 1
            self._line(f"[green]ok[/] {escape(what)}", indent=_INDENT)
        else:
            self.broken += 1
            self._line(f"[bold red]BROKEN[/] {escape(what)}", indent=_INDENT)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The first column is text, the others are numbers."""
        table = Table(header_style="bold", box=None, padding=(0, 0, 0, 1))
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left", vertical="bottom", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self._console.print(Padding.indent(table, _INDENT))

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar that is gone at the end; each call of what this yields is one more."""
        progress = Progress(
            TextColumn(" " * _INDENT + what),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        with progress:
            task = progress.add_task("", total=total)
            yield lambda: progress.advance(task)

    def verdict(self) -> None:
        if self.broken:
            self._line(f"\n[bold red]{self.broken} of {self.kept + self.broken} promises were broken[/]")
        else:
            self._line(f"\n[bold green]all {self.kept} promises held[/]")

    def _line(self, markup: str, indent: int = 0) -> None:
        self._console.print(" " * indent + markup, highlight=False, soft_wrap=True)
