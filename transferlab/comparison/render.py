"""The comparison table in words: as sections, and from these as Markdown, LaTeX and CSV (terminal: terminal.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd
from pandas.api.types import is_numeric_dtype

from transferlab.comparison.criterion import Criterion
from transferlab.comparison.table import COLUMNS
from transferlab.comparison.wording import SIZE, Row, cells_of, footer, remarks_on, title_of
from transferlab.text import counted, csv_cell, printable

_MINUS = "\N{MINUS SIGN}"
STACKED = {"Δ scratch": "verdict", "Δ source_only": "adaptation"}
"""A difference, and the heading of the verdict on it."""

_MARKDOWN = str.maketrans({"\n": " "} | {character: f"\\{character}" for character in "\\|*_`<[&~$"})
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\n": " "}
    | {_MINUS: "$-$", "±": r"$\pm$", "Δ": r"$\Delta$", "→": r"$\to$", "≈": r"$\approx$", "·": r"$\cdot$"}
    | {"<": "$<$", ">": "$>$", "|": r"\textbar{}"}
)


class Section(NamedTuple):
    """One comparison, in words.

    Attributes:
        title: what is compared.
        headings: the columns' headings.
        rows: the rows of the table, for their verdicts.
        cells: the same rows as text by heading; a line break parts a cell's main text from its second line.
        remarks: a sentence for each row with negative transfer, or why there is no verdict.
    """

    title: str
    headings: list[str]
    rows: Sequence[Row]
    cells: Sequence[Mapping[str, str]]
    remarks: list[str]


def to_csv(table: pd.DataFrame) -> str:
    """The text of ``table.csv``: numbers with every digit, empty where unknown."""
    return as_csv(table[COLUMNS])


def as_csv(table: pd.DataFrame) -> str:
    """The table as CSV, its texts ``csv_cell``."""
    shown = table.copy()
    for name in shown:
        if not is_numeric_dtype(shown[name]):
            shown[name] = shown[name].map(_csv)
    return shown.to_csv(index=False, lineterminator="\n")


def _csv(value: Any) -> Any:
    return csv_cell(value) if isinstance(value, str) else value


def to_markdown(table: pd.DataFrame, criterion: Criterion) -> str:
    """One section per comparison."""
    lines: list[str] = []
    for section in sections(table, criterion):
        lines += [f"## {section.title.translate(_MARKDOWN)}", "", _markdown_row(section.headings)]
        lines += [_markdown_row("---" for _ in section.headings)]
        lines += [_markdown_row(cells[heading] for heading in section.headings) for cells in section.cells]
        lines += [line for remark in section.remarks for line in ("", f"**{remark.translate(_MARKDOWN)}**")]
        lines += [""]
    return "\n".join([*lines, *(f"{line.translate(_MARKDOWN)}\n" for line in footer(table, criterion))])


def to_latex(table: pd.DataFrame, criterion: Criterion) -> str:
    r"""One ``table*`` per comparison, for a preamble with ``\usepackage{booktabs}``."""
    return "\n".join(_latex_section(section, footer(table, criterion)) for section in sections(table, criterion))


def sections(table: pd.DataFrame, criterion: Criterion) -> Iterator[Section]:
    """The comparisons of a table, one after the other, in words."""
    records = [_printable(row) for row in table.to_dict("records")]
    # A comparison's rows stand together.
    groups = [list(rows) for _, rows in groupby(records, key=lambda row: row["comparison_id"])]
    titles = [title_of(rows[0]) for rows in groups]
    often = Counter(titles)
    one_size = len({row["parameters"] for row in records if not pd.isna(row["parameters"])}) == 1  # nothing to compare
    for rows, title in zip(groups, titles, strict=True):
        cells = [cells_of(row, criterion) for row in rows]
        filled = {heading for row in cells for heading, cell in row.items() if cell} - ({SIZE} if one_size else set())
        for pair in STACKED.items():
            if filled.intersection(pair):
                filled.update(pair)
        yield Section(
            # Comparisons may differ in what a title doesn't say, such as the number of steps.
            title=title if often[title] == 1 else f"{title} · {rows[0]['comparison_id']}",
            headings=[heading for heading in cells[0] if heading in filled],
            rows=rows,
            cells=cells,
            remarks=remarks_on(rows),
        )


def _printable(row: Mapping[Any, Any]) -> Row:
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.translate(_MARKDOWN) for cell in cells)} |"


def _latex_section(section: Section, footer_lines: Sequence[str]) -> str:
    seeds = {row["seeds"] for row in section.rows}
    count = counted(max(seeds), "seed") if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)} seeds"
    rows = [section.headings, *([cells[heading] for heading in section.headings] for cells in section.cells)]
    header, *body = map(_latex_row, rows)
    remarks = [f"{remark}." for remark in section.remarks]
    caption = " ".join([f"{section.title}, {count}.", *remarks, *footer_lines])
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{caption.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{{'l' * len(section.headings)}}}",
            r"\toprule",
            header,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def _latex_row(cells: Iterable[str]) -> str:
    text = " & ".join(cell.translate(_LATEX) for cell in cells)
    guard = "{}" if text.startswith(("[", "*")) else ""  # without it, LaTeX reads them as options of the \\ above
    return rf"{guard}{text} \\"
