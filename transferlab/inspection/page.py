"""A report as it is shown: titled parts of sentences and small tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from transferlab.text import printable


@dataclass(frozen=True)
class Grid:
    """A small table.

    Attributes:
        headings: of the columns; a line break stays.
        rows: each a text for every column.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Part:
    """One part of a report.

    Attributes:
        title: what it is about.
        content: sentences and tables in order; a part without any isn't shown.
    """

    title: str
    content: Sequence[str | Grid]


def show(part: Part, console: Console) -> None:
    """Prints a part; on a terminal sentences are broken at its width, elsewhere each is one line."""
    if not part.content:
        return
    console.print(Text(part.title, style="bold"))
    for item in part.content:
        if isinstance(item, Grid):
            console.print(_table(item))
        else:
            console.print(Text(printable(item)), soft_wrap=not console.is_terminal)
    console.print()


def _table(grid: Grid) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(grid.headings):
        numbers = place > 0 and all(_is_number(row[place]) for row in grid.rows)
        table.add_column(Text(printable(heading, keep="\n")), justify="right" if numbers else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _is_number(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "−-–"
