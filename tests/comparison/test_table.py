import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from transferlab.comparison.results import read_results
from transferlab.comparison.statistics import paired, seeds_to_decide
from transferlab.comparison.table import COLUMNS, NOTES, comparison_table

SCRATCH = [0.80, 0.82, 0.81, 0.79, 0.83]
SOURCE_ONLY = [0.60, 0.61, 0.59, 0.62, 0.60]
DANN = [0.70, 0.73, 0.71, 0.70, 0.72]
FINETUNE = [0.82, 0.83, 0.84, 0.80, 0.86]
ORACLE = [0.95, 0.96, 0.97, 0.95, 0.96]


def table_of(outputs, margin: float = 1.0) -> pd.DataFrame:
    results, warnings = read_results(outputs.root)
    assert warnings == []
    return comparison_table(results, margin)


def row_of(table: pd.DataFrame, strategy: str) -> pd.Series:
    return table.set_index("strategy").loc[strategy]


@pytest.fixture
def full(outputs):
    outputs.add("dann", DANN, loss="dann")
    outputs.add("target_oracle", ORACLE)
    outputs.add("finetune", FINETUNE)
    outputs.add("source_only", SOURCE_ONLY)
    outputs.add("scratch", SCRATCH)
    return outputs


def points(first: list[float], second: list[float]) -> np.ndarray:
    return 100 * (np.array(first) - np.array(second))


def q_of(differences: np.ndarray) -> float:
    sample = DescrStatsW(differences)
    sides = sample.ttest_mean(-1, alternative="smaller")[1], sample.ttest_mean(1, alternative="larger")[1]
    return min(1, 2 * min(sides))


def test_columns_are_the_contract(full):
    assert ",".join(COLUMNS) == (
        "source,target,backbone,strategy,variant,loss,seeds,target_labels_per_class,accuracy_mean,accuracy_std,"
        "delta_scratch,delta_scratch_low,delta_scratch_high,p_scratch,verdict,"
        "delta_source_only,delta_source_only_low,delta_source_only_high,p_source_only,verdict_adaptation,"
        "gap_closed,negative_transfer,diverged,warned,seconds,parameters,milliseconds_per_image,comparison_id"
    )
    assert list(table_of(full).columns) == COLUMNS + NOTES


def test_rows_stand_in_reading_order(full):
    assert table_of(full)["strategy"].tolist() == ["scratch", "source_only", "finetune", "dann", "target_oracle"]


def test_one_row_against_statsmodels(full):
    row, differences = row_of(table_of(full), "dann"), points(DANN, SCRATCH)
    assert (row["delta_scratch_low"], row["delta_scratch_high"]) == pytest.approx(
        DescrStatsW(differences).tconfint_mean(0.05)
    )
    assert row["delta_scratch"] == pytest.approx(differences.mean())
    assert row["accuracy_mean"] == pytest.approx(np.mean(DANN))
    assert row["accuracy_std"] == pytest.approx(np.std(DANN, ddof=1))
    assert row["gap_closed"] == pytest.approx((0.712 - 0.604) / (0.958 - 0.604))
    assert (row["seeds"], row["diverged"], row["seconds"]) == (5, 0, 12)
    assert row["verdict"] == "negative"
    assert row["verdict_adaptation"] == "positive"


def test_holm_covers_the_rows_that_are_judged_and_no_others(full):
    table = table_of(full)
    judged = [SOURCE_ONLY, FINETUNE, DANN]
    expected = multipletests([q_of(points(one, SCRATCH)) for one in judged], method="holm")[1]
    assert [row_of(table, name)["p_scratch"] for name in ("source_only", "finetune", "dann")] == pytest.approx(expected)
    expected = multipletests([q_of(points(one, SOURCE_ONLY)) for one in (FINETUNE, DANN)], method="holm")[1]
    assert [row_of(table, name)["p_source_only"] for name in ("finetune", "dann")] == pytest.approx(expected)


def test_a_row_among_many_needs_more_evidence(outputs):
    better = [0.81, 0.84, 0.84, 0.83, 0.88]
    assert 0.025 < q_of(points(better, SCRATCH)) < 0.05
    outputs.add("scratch", SCRATCH)
    outputs.add("finetune", better)
    assert row_of(table_of(outputs), "finetune")["verdict"] == "positive"
    outputs.add("joint", [0.79, 0.84, 0.80, 0.82, 0.80])
    assert row_of(table_of(outputs), "finetune")["verdict"] == "leaning_positive"


def test_baselines_and_oracle_have_no_verdict(full):
    table = table_of(full)
    for strategy in ("scratch", "target_oracle"):
        assert row_of(table, strategy)[["verdict", "p_scratch", "verdict_adaptation", "p_source_only"]].isna().all()
    assert pd.isna(row_of(table, "scratch")["delta_scratch"])
    assert row_of(table, "source_only")[["delta_source_only", "verdict_adaptation"]].isna().all()
    assert row_of(table, "source_only")["verdict"] == "negative"


def test_negative_transfer_is_true_exactly_where_the_verdict_is_negative(full):
    table = table_of(full)
    assert table["negative_transfer"].dtype == bool
    assert table["negative_transfer"].tolist() == (table["verdict"] == "negative").tolist()
    assert table["negative_transfer"].sum() == 2


def test_pairing_is_by_seed(outputs):
    outputs.add("scratch", SCRATCH)
    outputs.add("dann", [one - 0.05 for one in SCRATCH], run_id="a", variant="in step")
    outputs.add("dann", [one - 0.05 for one in reversed(SCRATCH)], run_id="b", variant="out of step")
    table = table_of(outputs).set_index("variant")
    in_step, out_of_step = table.loc["in step"], table.loc["out of step"]
    assert in_step["delta_scratch"] == pytest.approx(out_of_step["delta_scratch"])
    assert in_step["delta_scratch_high"] - in_step["delta_scratch_low"] == 0
    assert out_of_step["delta_scratch_high"] - out_of_step["delta_scratch_low"] > 1


def test_a_seed_that_one_side_lacks_makes_no_pair(outputs):
    outputs.add("scratch", [0.1, *SCRATCH])
    outputs.add("dann", [*DANN, 0.1], first_seed=1)
    row = row_of(table_of(outputs), "dann")
    assert row["delta_scratch"] == pytest.approx(points(DANN, SCRATCH).mean())
    assert row["seeds"] == 6
    assert row["accuracy_mean"] == pytest.approx(np.mean([*DANN, 0.1]))


def test_diverged_runs_are_counted_and_enter_nothing_else(outputs):
    outputs.add("scratch", [*SCRATCH, 0.8])
    outputs.add("dann", [*DANN, None])
    outputs.add("adda", [None] * 6)
    table = table_of(outputs)
    assert table["strategy"].tolist() == ["scratch", "dann", "adda"]
    dann, adda = row_of(table, "dann"), row_of(table, "adda")
    assert (dann["seeds"], dann["diverged"], dann["seconds"]) == (5, 1, 12)
    assert dann["delta_scratch"] == pytest.approx(points(DANN, SCRATCH).mean())
    assert (adda["seeds"], adda["diverged"], adda["verdict"]) == (0, 6, "inconclusive")
    assert adda[["accuracy_mean", "delta_scratch", "p_scratch", "seconds"]].isna().all()
    # The row that diverged counts as one that was tried.
    assert dann["p_scratch"] == pytest.approx(2 * q_of(points(DANN, SCRATCH)))


def test_one_seed_has_a_difference_and_no_interval(outputs):
    outputs.add("scratch", [0.8])
    outputs.add("dann", [0.7])
    row = row_of(table_of(outputs), "dann")
    assert row["delta_scratch"] == -10
    assert row[["accuracy_std", "delta_scratch_low", "delta_scratch_high", "p_scratch"]].isna().all()
    assert (row["verdict"], row["note"]) == ("inconclusive", "fewer than 5 seeds")


def test_without_scratch_the_verdict_on_adaptation_remains(outputs):
    outputs.add("source_only", SOURCE_ONLY)
    outputs.add("dann", DANN)
    table = table_of(outputs)
    assert table["verdict"].isna().all()
    assert not table["negative_transfer"].any()
    assert row_of(table, "dann")["verdict_adaptation"] == "positive"


def test_gap_closed_needs_a_gap_over_shared_seeds(outputs):
    outputs.add("source_only", [*SOURCE_ONLY, 0.0])
    outputs.add("dann", DANN)
    outputs.add("target_oracle", [0.61] * 5)
    assert row_of(table_of(outputs, margin=0.6), "dann")["gap_closed"] == pytest.approx(18)
    assert table_of(outputs, margin=0.7)["gap_closed"].isna().all()


def test_gap_closed_by_the_oracle_itself_is_not_said(full):
    table = table_of(full)
    assert row_of(table, "scratch")["gap_closed"] == pytest.approx((0.81 - 0.604) / (0.958 - 0.604))
    assert pd.isna(row_of(table, "source_only")["gap_closed"])
    assert pd.isna(row_of(table, "target_oracle")["gap_closed"])


def test_comparisons_are_never_mixed(full):
    before = table_of(full)
    for strategy, accuracies in {"scratch": DANN, "dann": FINETUNE}.items():
        full.add(strategy, accuracies, comparison_id="other", target_labels_per_class=10)
    table = table_of(full)
    assert table["comparison_id"].tolist() == ["c0ffee"] * 5 + ["other"] * 2
    same = [name for name in COLUMNS if name != "target_labels_per_class"]
    pd.testing.assert_frame_equal(table[same].iloc[:5], before[same])


def test_comparisons_are_sorted_by_budget_as_numbers(outputs):
    for budget in (10, 3, "all"):
        outputs.add("dann", DANN, comparison_id=f"with {budget}", target_labels_per_class=budget)
    assert table_of(outputs)["comparison_id"].tolist() == ["with 3", "with 10", "with all"]


def test_configurations_that_look_alike_stay_apart(outputs):
    outputs.add("scratch", SCRATCH)
    outputs.add("adapt", DANN, loss="mmd", run_id="weight 1")
    outputs.add("adapt", FINETUNE, loss="mmd", run_id="weight 3")
    table = table_of(outputs)
    assert table["accuracy_mean"].tolist() == pytest.approx([np.mean(one) for one in (SCRATCH, FINETUNE, DANN)])
    assert table["seeds"].tolist() == [5, 5, 5]


def test_an_undecided_row_says_how_many_seeds_would_decide(outputs):
    undecided = [0.80, 0.85, 0.79, 0.81, 0.84]
    outputs.add("scratch", SCRATCH)
    outputs.add("finetune", undecided)
    outputs.add("dann", DANN)
    row = row_of(table_of(outputs), "finetune")
    differences = points(undecided, SCRATCH)
    assert row["verdict"] == "inconclusive"
    assert row["note"] == f"≈{seeds_to_decide(paired(list(differences), 1.0), 1.0, family=2)} seeds would decide"
    assert row_of(table_of(outputs), "dann")["note"] == ""
