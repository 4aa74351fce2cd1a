import io

import pytest
from rich.console import Console

from transferlab.comparison.compare import Comparison, compare
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.render import to_latex, to_markdown
from transferlab.comparison.terminal import to_terminal

SCRATCH = [0.809, 0.811, 0.81, 0.808, 0.812]


@pytest.fixture
def made(outputs) -> Comparison:
    outputs.add("scratch", SCRATCH)
    outputs.add("source_only", [0.60, 0.61, 0.59, 0.62, 0.60])
    outputs.add("target_oracle", [0.95, 0.96, 0.97, 0.95, 0.96])
    outputs.add("dann", [0.70, 0.73, 0.71, 0.70, 0.72], loss="dann")
    outputs.add("adapt", [0.80, 0.85, 0.79, 0.81, 0.84], loss="mmd", variant="layers=[conv1]")
    outputs.add("mcd", [0.811, 0.812, 0.81, 0.809, 0.813])
    outputs.add("joint", [0.81, 0.86, 0.68, 0.79, 0.96])
    outputs.add("finetune", [0.85, 0.88, 0.90, None, None])
    outputs.add("lp_ft", [0.93, 0.94, 0.93, 0.92, 0.94])
    return compare(outputs.root, Criterion(1.0))


def printed(made: Comparison, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    to_terminal(made.table, made.criterion, console)
    return console.file.getvalue()


def columns_of(text: str) -> str:
    """The text read down each column of characters at a time: wrapped cells become whole again."""
    lines = text.splitlines()
    rule = next(line for line in lines if set(line) <= {"─", " "} and line.strip())
    heading = lines[lines.index(rule) - 1]
    starts = [at for at, letter in enumerate(heading) if letter != " " and (at == 0 or heading[at - 1] == " ")]
    ends = [*starts[1:], None]
    return " ".join(" ".join(line[a:b] for line in lines) for a, b in zip(starts, ends, strict=True))


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_word_of_a_verdict_is_lost(made: Comparison, width: int):
    text = printed(made, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "NEGATIVE TRANSFER" in text
    together = " ".join(columns_of(text).split())
    for words in ["equivalent", "positive", "inconclusive (fewer than 5 seeds)", "(2 diverged)"]:
        assert words in together
    for note in made.table["note"].dropna():
        assert note in together
    assert "inconclusive (more than 1,000 seeds needed)" in together


def test_a_wide_terminal_keeps_difference_and_interval_on_one_line(made: Comparison):
    minus = "\N{MINUS SIGN}"
    assert f"{minus}9.8 [{minus}11.4, {minus}8.2]" in printed(made, 100)
    assert f"[{minus}11.4, {minus}8.2]" in printed(made, 80)


def test_title_sentence_and_footer(made: Comparison):
    text = printed(made, 100)
    assert text.startswith("mnist5k → digits · lenet · 3 target labels per class")
    assert "dann hurts: 71.2% against 81.0% from scratch" in text
    assert "margin ±1 point" in text
    assert "(95%, Student's t, unadjusted)" in " ".join(text.split())


def test_brackets_of_a_variant_are_text_not_markup(made: Comparison):
    assert "(layers=[conv1])" in printed(made, 200)


def test_the_loss_is_named_where_it_is_a_choice(made: Comparison):
    assert "adapt · mmd" in printed(made, 200)
    assert "dann · dann" not in printed(made, 200)


def test_negative_transfer_is_red(made: Comparison):
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard", legacy_windows=False)
    to_terminal(made.table, made.criterion, console)
    assert "\x1b[1;31mNEGATIVE TRANSFER" in console.file.getvalue()


def test_without_scratch_its_columns_are_gone(outputs):
    outputs.add("source_only", SCRATCH, target_labels_per_class=0)
    outputs.add("dann", SCRATCH, target_labels_per_class=0)
    text = printed(compare(outputs.root, Criterion(1.0)), 100)
    assert "Δ scratch" not in text
    assert "Δ source_only" in text
    assert "no target labels" in text


def test_what_a_predictor_costs_is_shown_where_predictors_differ(outputs):
    outputs.add("scratch", SCRATCH, timing={"seconds": 1, "parameters": 61706, "milliseconds_per_image": 0.0512})
    assert "parameters" not in to_markdown(compare(outputs.root, Criterion(1.0)).table, Criterion(1.0))
    larger = {"seconds": 1, "parameters": 11689512, "milliseconds_per_image": 2.0}
    outputs.add("scratch", SCRATCH, timing=larger, backbone="resnet18", comparison_id="other")
    text = to_markdown(compare(outputs.root, Criterion(1.0)).table, Criterion(1.0))
    assert "| 61,706 0.051 ms |" in text
    assert "| 11,689,512 2 ms |" in text


def test_titles_that_repeat_are_told_apart(outputs):
    for comparison_id in ("first", "second"):
        outputs.add("scratch", SCRATCH, comparison_id=comparison_id)
    text = printed(compare(outputs.root, Criterion(1.0)), 100)
    assert "per class · first" in text
    assert "per class · second" in text


def test_markdown_has_a_section_per_comparison_and_rows_of_equal_width(outputs, made: Comparison):
    outputs.add("dann", SCRATCH, comparison_id="other", target_labels_per_class=1, variant="a|b")
    both = compare(outputs.root, Criterion(1.0))
    text = to_markdown(both.table, Criterion(1.0))
    assert text.count("\n## ") + text.startswith("## ") == 2
    assert r"dann (a\|b)" in text
    assert r"inconclusive (fewer than 5 seeds)" in text
    first = text.split("## ")[2]
    rows = [line.replace(r"\|", "") for line in first.splitlines() if line.startswith("|")]
    assert len(rows) == 11
    assert len({line.count("|") for line in rows}) == 1


def test_latex_escapes_what_latex_would_read(outputs, made: Comparison):
    outputs.add("shallow", SCRATCH, variant=r"50%_a&b#c$d{e}~f^g\h")
    text = to_latex(compare(outputs.root, Criterion(1.0)).table, Criterion(1.0))
    assert r"50\%\_a\&b\#c\$d\{e\}\textasciitilde{}f\textasciicircum{}g\textbackslash{}h" in text
    assert r"source\_only" in text
    assert r"more than 1,000 seeds needed" in text
    assert text.isascii()
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(body) == 11
    assert {line.replace(r"\&", "").count("&") for line in body} == {8}


def test_latex_caption_says_margin_seeds_and_interval(made: Comparison):
    caption = next(line for line in to_latex(made.table, Criterion(1.0)).splitlines() if line.startswith(r"\caption"))
    assert "3 to 5 seeds" in caption
    assert r"margin $\pm$1 point" in caption
    assert r"(95\%, Student's t, unadjusted)" in caption
