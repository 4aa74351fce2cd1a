"""The comparison table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from transferlab.comparison.criterion import Criterion
from transferlab.comparison.render import STACKED, Section, sections
from transferlab.comparison.wording import Row, footer

_WIDTHS = {"Δ scratch": (17, 21), "Δ source_only": (14, 20)}
"""Characters in a terminal of 80 columns, enough for NEGATIVE TRANSFER and an interval on a line of its own; and of
100 columns, enough for a difference and its interval on one line."""

_STYLES = {
    "negative": "bold red",
    "leaning_negative": "red",
    "positive": "bold green",
    "leaning_positive": "green",
    "equivalent": "cyan",
    "inconclusive": "yellow",
}


def to_terminal(table: pd.DataFrame, criterion: Criterion, console: Console) -> None:
    """Prints one table per comparison, for 80 columns or more."""
    for section in sections(table, criterion):
        console.print(Text(section.title, style="bold"))
        console.print(_terminal_table(section, wide=console.width >= 100))
        console.print()
        for remark in section.remarks:
            console.print(Text(remark, style=_STYLES["negative"]))
        if section.remarks:
            console.print()
    for line in footer(table, criterion):
        console.print(Text(line, style="dim"))


def _terminal_table(section: Section, wide: bool) -> Table:
    """One comparison; a verdict stands under its difference, so that the whole fits into 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, int(wide), 0, 0),
        leading=1,
    )
    headings = [heading for heading in section.headings if heading not in STACKED.values()]
    for heading in headings:
        if heading in STACKED:
            table.add_column(Text(f"{heading}\n{STACKED[heading]}"), width=_WIDTHS[heading][wide])
        else:
            table.add_column(Text(heading), no_wrap=heading != "strategy", overflow="fold")
    for row, cells in zip(section.rows, section.cells, strict=True):
        table.add_row(*(_terminal_cell(row, cells, heading, wide) for heading in headings))
    return table


def _terminal_cell(row: Row, cells: Mapping[str, str], heading: str, wide: bool) -> Text:
    if heading not in STACKED:
        return Text(cells[heading])
    delta = cells[heading].replace("\n[", " [") if wide else cells[heading]
    word = row["verdict" if heading == "Δ scratch" else "verdict_adaptation"]
    verdict = Text(cells[STACKED[heading]], style="" if pd.isna(word) else _STYLES[word])
    return Text("\n").join(part for part in (Text(delta), verdict) if part)
