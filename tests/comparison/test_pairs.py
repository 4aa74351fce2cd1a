import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from transferlab.comparison.compare import compare
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.pairs import COLUMNS

GAINS = {"a": 3.0, "b": -4.0, "c": 0.5, "d": 6.0, "e": 2.0}
SCRATCH = np.array([0.80, 0.82, 0.81, 0.79, 0.83])


def add(outputs, target: str, gain: float, **fields: object) -> None:
    name = f"{target}{fields.get('setting', '')}"
    outputs.add("scratch", SCRATCH.tolist(), comparison_id=name, target=target, run_id=f"s{name}", **fields)
    outputs.add("dann", (SCRATCH + gain / 100).tolist(), comparison_id=name, target=target, run_id=f"d{name}", **fields)


def over_pairs(outputs) -> pd.DataFrame:
    compare(outputs.root, Criterion(1.0)).write(outputs.root)
    return pd.read_csv(outputs.root / "comparison" / "pairs.csv")


def test_the_mean_over_pairs_with_its_interval_over_pairs(outputs):
    for target, gain in GAINS.items():
        add(outputs, target, gain)
    (row,) = over_pairs(outputs).to_dict("records")
    assert list(row) == COLUMNS
    assert (row["strategy"], row["baseline"], row["pairs"]) == ("dann", "scratch", 5)
    assert row["delta"] == pytest.approx(np.mean(list(GAINS.values())))
    assert (row["delta_low"], row["delta_high"]) == pytest.approx(DescrStatsW([*GAINS.values()]).tconfint_mean(0.05))
    assert (row["won"], row["lost"], row["even"]) == (3, 1, 1)


def test_below_five_pairs_there_is_no_interval_and_of_one_pair_nothing(outputs):
    add(outputs, "a", 3.0)
    compare(outputs.root, Criterion(1.0)).write(outputs.root)
    assert not (outputs.root / "comparison" / "pairs.csv").exists()
    add(outputs, "b", 4.0)
    (row,) = over_pairs(outputs).to_dict("records")
    assert row["delta"] == pytest.approx(3.5)
    assert np.isnan(row["delta_low"])


def test_other_settings_are_other_questions(outputs):
    for target in "ab":
        add(outputs, target, 3.0)
        add(outputs, target, 5.0, setting="steps=9")
    assert sorted(over_pairs(outputs)["delta"]) == pytest.approx([3.0, 5.0])


def test_pairs_of_results_that_are_gone_go_too(outputs):
    add(outputs, "a", 3.0)
    add(outputs, "b", 3.0)
    over_pairs(outputs)
    for path in outputs.root.rglob("runs/**/result.json"):
        if '"target": "b"' in path.read_text():
            path.unlink()
    compare(outputs.root, Criterion(1.0)).write(outputs.root)
    assert not (outputs.root / "comparison" / "pairs.csv").exists()
