"""What files and configs say can't act on a terminal, a table or a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from transferlab.comparison.criterion import Criterion
from transferlab.comparison.curve import draw
from transferlab.comparison.render import as_csv, to_latex, to_markdown
from transferlab.comparison.results import read_results
from transferlab.comparison.table import comparison_table
from transferlab.comparison.terminal import to_terminal
from transferlab.text import csv_cell, printable

HOSTILE = "\x1b]0;owned\x07\x1b[31m[red]\u202e<script>[x](javascript:a)|`$x$\n# y\r\x9b2J"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\r\x7f", "a\\x0ab\\x09c\\x0d\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb", "a\\u200bb"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_acts_is_escaped(text: str, seen: str):
    assert printable(text) == seen
    assert printable(seen) == seen


@pytest.mark.parametrize(
    "text", ["Zürich", "e\u0301", "数字", "кот", "قطة", "עברית", "हिन्दी", "می\u200cخواهم", "🐱", "Δ → ±", "[red] a\\b"]
)
def test_letters_of_every_script_stay(text: str):
    assert printable(text) == text


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_is_a_formula_and_numbers_stay_numbers(first: str):
    assert csv_cell(f"{first}1+1") == "'" + printable(f"{first}1+1")
    table = pd.DataFrame({"name": [f"{first}cmd", "dog"], "value": [-1.5, 2.0], "budget": ["all", 3]})
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows[1][0].startswith("'")
    assert [row[1:] for row in rows[1:]] == [["-1.5", "all"], ["2.0", "3"]]


def test_no_table_shows_a_hostile_name_raw(outputs):
    outputs.add("scratch", [0.5, 0.6], source=HOSTILE, variant="")
    outputs.add("dann", [0.5, 0.4], source=HOSTILE, variant="=cmd()")
    outputs.add("mcd", [0.5], comparison_id="=c", source="a", backbone=HOSTILE, setting=HOSTILE, loss=HOSTILE)
    table = comparison_table(read_results(outputs.root)[0], Criterion(1.0))
    console = Console(file=io.StringIO(), width=200, color_system="truecolor", force_terminal=True, record=True)
    to_terminal(table, Criterion(1.0), console)
    shown = console.export_text()
    assert "[red]" in shown
    for text in (shown, to_markdown(table, Criterion(1.0)), to_latex(table, Criterion(1.0)), as_csv(table)):
        assert not set("\x1b\x07\x9b\u202e\r") & set(text)
    assert "\n#" not in to_markdown(table, Criterion(1.0)).replace("\n##", "")
    assert r"\<script" in to_markdown(table, Criterion(1.0))
    assert r"\[x](javascript" in to_markdown(table, Criterion(1.0))
    assert "$x$" not in to_latex(table, Criterion(1.0))


def test_a_row_of_latex_does_not_begin_with_what_belongs_to_the_line_above(outputs):
    outputs.add("[3cm]", [0.5])
    assert "\n{}[3cm]" in to_latex(comparison_table(read_results(outputs.root)[0], Criterion(1.0)), Criterion(1.0))


def test_a_picture_shows_names_as_they_are(tmp_path: Path):
    names = {"source": "$\\frac", "target": "数", "backbone": "\x1b", "target_labels_per_class": 3, "setting": "$"}
    row = {**names, "strategy": "$a_{", "variant": "", "loss": "none", "seeds": 2, "accuracy_mean": 0.5}
    points = pd.DataFrame([{**row, "value": value, "accuracy_low": 0.4, "accuracy_high": 0.6} for value in ("$", "2")])
    draw(points, "a$^", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
