import csv
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from transferlab.comparison.compare import compare, met
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.report import exit_code, show
from transferlab.comparison.table import COLUMNS
from transferlab.errors import Refusal

SCRATCH = [0.80, 0.82, 0.81, 0.79, 0.83]
DANN = [0.70, 0.73, 0.71, 0.70, 0.72]


@pytest.fixture
def two_comparisons(outputs):
    for comparison_id, budget in (("first", 3), ("second", 10)):
        outputs.add("scratch", SCRATCH, comparison_id=comparison_id, target_labels_per_class=budget)
        outputs.add("dann", DANN, comparison_id=comparison_id, target_labels_per_class=budget)
    return outputs


def test_csv_reads_back_to_the_same_values(two_comparisons):
    two_comparisons.add("finetune", [0.7, None], comparison_id="first")
    comparison = compare(two_comparisons.root, Criterion(1.0))
    comparison.write(two_comparisons.root)
    path = two_comparisons.root / "comparison" / "table.csv"
    texts = ["variant", "loss", "warned"]
    counts = dict.fromkeys(("seeds_scratch", "seeds_source_only", "test_examples"), "Int64")
    back = pd.read_csv(path, dtype=dict.fromkeys(texts, str) | counts).fillna(dict.fromkeys(texts, ""))
    assert list(back.columns) == COLUMNS
    pd.testing.assert_frame_equal(back, comparison.table[COLUMNS], rtol=1e-15, check_dtype=False)
    assert back["negative_transfer"].dtype == bool
    with path.open() as file:
        written = [float(row["accuracy_std"] or "nan") for row in csv.DictReader(file)]
    assert written == pytest.approx(comparison.table["accuracy_std"].tolist(), rel=0, abs=0, nan_ok=True)
    assert "nan" not in path.read_text().lower()


def test_the_files_cover_everything_while_the_table_is_what_was_asked_for(two_comparisons):
    comparison = compare(two_comparisons.root, Criterion(1.0), only={"second"})
    assert set(comparison.table["comparison_id"]) == {"second"}
    comparison.write(two_comparisons.root)
    folder = two_comparisons.root / "comparison"
    assert sorted(path.name for path in folder.iterdir()) == ["table.csv", "table.md", "table.tex"]
    assert set(pd.read_csv(folder / "table.csv")["comparison_id"]) == {"first", "second"}
    assert (folder / "table.md").read_text().count("## ") == 2
    assert (folder / "table.tex").read_text().count(r"\begin{tabular}") == 2


def test_a_file_is_replaced_whole_or_not_at_all(two_comparisons, monkeypatch: pytest.MonkeyPatch):
    comparison = compare(two_comparisons.root, Criterion(1.0))
    comparison.write(two_comparisons.root)
    folder = two_comparisons.root / "comparison"
    before = (folder / "table.csv").read_text()

    def half_written(path: Path, text: str, **_: str) -> int:
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(OSError, match="no space"):
        comparison.write(two_comparisons.root)
    assert (folder / "table.csv").read_text() == before
    assert len(list(folder.iterdir())) == 3


def test_nothing_to_compare_is_refused(outputs):
    with pytest.raises(Refusal, match="transferlab train") as refusal:
        compare(outputs.root, Criterion(1.0))
    assert str(outputs.root) in str(refusal.value)
    [path] = outputs.add("dann", [0.7])
    path.write_text("{")
    with pytest.raises(Refusal, match="1 left out"):
        compare(outputs.root, Criterion(1.0))


def test_a_comparison_that_does_not_exist_is_refused(two_comparisons):
    with pytest.raises(Refusal):
        compare(two_comparisons.root, Criterion(1.0), only={"third"})


def test_warnings_are_handed_on(two_comparisons):
    [path] = two_comparisons.add("mcd", [0.7])
    path.write_text("{")
    assert len(compare(two_comparisons.root, Criterion(1.0)).warnings) == 1


def test_met(two_comparisons):
    table = compare(two_comparisons.root, Criterion(1.0)).table
    assert met(table, ["negative"])
    assert met(table, ["positive", "negative"])
    assert not met(table, ["positive", "inconclusive"])
    assert not met(table, [])


def test_margin_is_passed_down(two_comparisons):
    assert not met(compare(two_comparisons.root, Criterion(20.0)).table, ["negative"])


def test_no_torch_and_nothing_of_the_package_but_result_files():
    code = (
        "import sys, transferlab.comparison.compare;"
        "print(*(n for n in sys.modules if n == 'torch' or n.startswith('transferlab.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if not name.startswith("transferlab.comparison")} == {
        "transferlab.errors",
        "transferlab.system",
        "transferlab.system.files",
        "transferlab.system.locks",
        "transferlab.text",
    }


def test_runs_that_were_not_made_alike_are_told_of(outputs):
    """Per comparison, and only of what differs."""
    outputs.add("scratch", [0.5, 0.6], environment={"torch": "2.1", "device": "cpu"})
    outputs.add("dan", [0.7], environment={"torch": "2.2", "device": "cpu"})
    other = {"comparison_id": "other", "target": "letters"}
    outputs.add("scratch", [0.5], **other)
    assert compare(outputs.root, Criterion(1.0)).warnings == [
        "mnist5k → digits: not made alike: torch 2.1 in 2 runs, 2.2 in 1 run"
    ]
    assert compare(outputs.root, Criterion(1.0), ["other"]).warnings == []


def test_tables_that_cannot_be_written_are_shown_all_the_same(two_comparisons, capsys: pytest.CaptureFixture[str]):
    (two_comparisons.root / "comparison").write_text("in the way")
    comparison = show(two_comparisons.root, Criterion(1.0))
    said = capsys.readouterr()
    assert "dann hurts" in said.out
    assert [line for line in said.err.splitlines() if "shown and not written" in line] == said.err.splitlines()
    assert exit_code(comparison, "negative") == 3
    assert exit_code(comparison, None) == 0


def test_what_a_killed_process_left_beside_the_tables_goes(outputs):
    outputs.add("dann", [0.7, 0.8])
    (outputs.root / "comparison").mkdir()
    left = outputs.root / "comparison" / ".table.csv.4242.transferlab"
    left.touch()
    compare(outputs.root, Criterion(1.0)).write(outputs.root)
    assert sorted(path.name for path in left.parent.iterdir()) == ["table.csv", "table.md", "table.tex"]
