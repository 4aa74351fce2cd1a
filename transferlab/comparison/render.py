"""The comparison table in words: as sections, and from these as Markdown, LaTeX and CSV (terminal: terminal.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd
from pandas.api.types import is_numeric_dtype

from transferlab.comparison.table import COLUMNS
from transferlab.text import counted, csv_cell, printable

Row = Mapping[str, Any]
"""One row of the table, its texts ``printable``."""

_MINUS = "\N{MINUS SIGN}"
STACKED = {"Δ scratch": "verdict", "Δ source_only": "adaptation"}
"""A difference, and the heading of the verdict on it."""

_SIZE = "parameters,\nper image"
"""Heading of the predictor's size, shown where strategies or backbones differ in it."""

_MARKDOWN = str.maketrans({"\n": " "} | {character: f"\\{character}" for character in "\\|*_`<[&~$"})
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\n": " "}
    | {_MINUS: "$-$", "±": r"$\pm$", "Δ": r"$\Delta$", "→": r"$\to$", "≈": r"$\approx$", "·": r"$\cdot$"}
    | {"<": "$<$", ">": "$>$", "|": r"\textbar{}"}
)


NO_VERDICT = (
    "No accuracy and no verdict: no test example of the target has a label. Rows that agree may all be wrong, and "
    "confidence says nothing of who is right; label a few test examples to know. Predictions are in predictions.csv"
)
"""Stands under a comparison of which nothing is known to be right."""


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


def to_markdown(table: pd.DataFrame, margin: float) -> str:
    """One section per comparison."""
    lines: list[str] = []
    for section in sections(table):
        lines += [f"## {section.title.translate(_MARKDOWN)}", "", _markdown_row(section.headings)]
        lines += [_markdown_row("---" for _ in section.headings)]
        lines += [_markdown_row(cells[heading] for heading in section.headings) for cells in section.cells]
        lines += [line for remark in section.remarks for line in ("", f"**{remark.translate(_MARKDOWN)}**")]
        lines += [""]
    return "\n".join([*lines, *(f"{line.translate(_MARKDOWN)}\n" for line in footer(table, margin))])


def to_latex(table: pd.DataFrame, margin: float) -> str:
    r"""One ``table*`` per comparison, for a preamble with ``\usepackage{booktabs}``."""
    return "\n".join(_latex_section(section, footer(table, margin)) for section in sections(table))


def sections(table: pd.DataFrame) -> Iterator[Section]:
    """The comparisons of a table, one after the other, in words."""
    records = [_printable(row) for row in table.to_dict("records")]
    # A comparison's rows stand together.
    groups = [list(rows) for _, rows in groupby(records, key=lambda row: row["comparison_id"])]
    titles = [_title(rows[0]) for rows in groups]
    often = Counter(titles)
    one_size = len({row["parameters"] for row in records if not pd.isna(row["parameters"])}) == 1  # nothing to compare
    for rows, title in zip(groups, titles, strict=True):
        cells = [_cells(row) for row in rows]
        filled = {heading for row in cells for heading, cell in row.items() if cell} - ({_SIZE} if one_size else set())
        for pair in STACKED.items():
            if filled.intersection(pair):
                filled.update(pair)
        yield Section(
            # Comparisons may differ in what a title doesn't say, such as the number of steps.
            title=title if often[title] == 1 else f"{title} · {rows[0]['comparison_id']}",
            headings=[heading for heading in cells[0] if heading in filled],
            rows=rows,
            cells=cells,
            remarks=_remarks(rows),
        )


def _printable(row: Mapping[Any, Any]) -> Row:
    return {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _title(row: Row) -> str:
    title = comparison_title(*(row[key] for key in ("source", "target", "backbone", "target_labels_per_class")))
    return f"{title} · {row['setting']}" if row["setting"] else title


def comparison_title(source: str, target: str, backbone: str, budget: int | str) -> str:
    """The title of a comparison: what all its rows share, in words."""
    labels = {"all": "all target labels", 0: "no target labels", 1: "1 target label per class"}
    return f"{source} → {target} · {backbone} · {labels.get(budget, f'{budget} target labels per class')}"


def _cells(row: Row) -> dict[str, str]:
    """One row in words. A heading whose cell is empty in every row of a comparison is dropped there."""
    deviation = "" if pd.isna(row["accuracy_std"]) else f" ± {100 * row['accuracy_std']:.1f}"
    return {
        "strategy": _name(row) + _unwell(row),
        "seeds": str(row["seeds"]),
        "accuracy %": "" if pd.isna(row["accuracy_mean"]) else f"{100 * row['accuracy_mean']:.1f}{deviation}",
        "Δ scratch": _delta(row, "delta_scratch"),
        "verdict": _verdict(row["verdict"], row["note"], negative="NEGATIVE TRANSFER"),
        "Δ source_only": _delta(row, "delta_source_only"),
        "adaptation": _verdict(row["verdict_adaptation"], row["note_adaptation"], negative="NEGATIVE"),
        "same class as\nsource_only %": _share(row, "agreement_source_only"),
        "same class in\nother seeds %": _share(row, "agreement_seeds"),
        "confidence %": _share(row, "target_confidence") if _unscored(row) else "",
        "gap\nclosed": "" if pd.isna(row["gap_closed"]) else f"{row['gap_closed']:.0%}".replace("-", _MINUS),
        _SIZE: _size(row),
        "seconds\na run": "" if pd.isna(row["seconds"]) else f"{row['seconds']:.1f}",
    }


def _unscored(row: Row) -> bool:
    """Whether it has predictions and no accuracy, for no test example has a label."""
    return pd.isna(row["accuracy_mean"]) and not pd.isna(row["target_confidence"])


def _share(row: Row, column: str) -> str:
    return "" if pd.isna(row[column]) else f"{100 * row[column]:.1f}"


def _unwell(row: Row) -> str:
    """How many of its runs diverged or have a warning."""
    words = [f"{row['diverged']} diverged"] if row["diverged"] else []
    words += [row["warned"]] if row["warned"] else []
    return f"\n({', '.join(words)})" if words else ""


def _name(row: Row) -> str:
    """The strategy; with its loss where that is a choice (the name of a preset such as ``dann`` implies it)."""
    name = f"{row['strategy']} · {row['loss']}" if row["strategy"] == "adapt" else row["strategy"]
    return f"{name} ({row['variant']})" if row["variant"] else name


def _delta(row: Row, column: str) -> str:
    if pd.isna(row[column]):
        return ""
    low, high, new = (row[f"{column}{end}"] for end in ("_low", "_high", "_new_high"))
    interval = "" if pd.isna(low) else f"\n[{low:+.1f}, {high:+.1f}]"
    for_new = "" if pd.isna(new) else f"\nnew ±{new - row[column]:.1f}"
    return f"{row[column]:+.1f}{interval}{for_new}".replace("-", _MINUS)


def _verdict(word: Any, note: str, negative: str) -> str:
    if pd.isna(word):
        return ""
    words = negative if word == "negative" else word.replace("_", " ")
    return f"{words}\n({note})" if note else words


def _size(row: Row) -> str:
    if pd.isna(row["parameters"]):
        return ""
    return f"{row['parameters']:,.0f}\n{row['milliseconds_per_image']:.2g} ms"


def _remarks(rows: Sequence[Row]) -> list[str]:
    if any(map(_unscored, rows)):
        return [NO_VERDICT]
    baseline = [row["accuracy_mean"] for row in rows if row["strategy"] == "scratch" and not row["variant"]]
    return [
        f"{_name(row)} hurts: {row['accuracy_mean']:.1%} against {baseline[0]:.1%} from scratch"
        for row in rows
        if row["negative_transfer"]
    ]


def footer(table: pd.DataFrame, margin: float) -> list[str]:
    """What the numbers mean; nothing where no row has an accuracy."""
    if table["accuracy_mean"].isna().all() and not table["target_confidence"].isna().all():
        return []
    points = "point" if margin == 1 else "points"
    text = (
        "Δ is in points, adjusted for the baseline's results with the same seeds, so it isn't always the difference of "
        "the means. Its interval (95%, Student's t, unadjusted) is for new seeds on this test set, new ± for new test "
        "examples too. Accuracy is mean ± standard deviation. Verdicts are about this test set: margin "
        f"±{margin:g} {points}, Holm-adjusted over the rows of a comparison."
    )
    return [text]


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
