import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from transferlab.comparison.criterion import Criterion
from transferlab.comparison.planning import seeds_to_decide
from transferlab.comparison.results import read_results
from transferlab.comparison.statistics import Estimates, estimates
from transferlab.comparison.table import COLUMNS, NOTES, comparison_table

SCRATCH = [0.80, 0.82, 0.81, 0.79, 0.83]
SOURCE_ONLY = [0.60, 0.61, 0.59, 0.62, 0.60]
DANN = [0.70, 0.73, 0.71, 0.70, 0.72]
FINETUNE = [0.82, 0.83, 0.84, 0.80, 0.86]
ORACLE = [0.95, 0.96, 0.97, 0.95, 0.96]


def table_of(outputs, margin: float = 1.0) -> pd.DataFrame:
    results, warnings = read_results(outputs.root)
    assert warnings == []
    return comparison_table(results, Criterion(margin))


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


def estimated(baseline: list[float], *rows: list[float]) -> Estimates:
    """What the statistics say of these accuracies, all of the same seeds."""
    return estimates(100 * np.array(rows), 100 * np.array(baseline))


def test_columns_are_the_contract(full):
    assert ",".join(COLUMNS) == (
        "source,target,backbone,strategy,variant,loss,seeds,target_labels_per_class,accuracy_mean,accuracy_std,"
        "delta_scratch,delta_scratch_low,delta_scratch_high,p_scratch,verdict,"
        "delta_source_only,delta_source_only_low,delta_source_only_high,p_source_only,verdict_adaptation,"
        "gap_closed,negative_transfer,diverged,warned,seconds,parameters,milliseconds_per_image,comparison_id,"
        "seeds_scratch,slope_scratch,delta_scratch_new_low,delta_scratch_new_high,"
        "seeds_source_only,slope_source_only,delta_source_only_new_low,delta_source_only_new_high,test_examples,level,"
        "target_confidence,target_entropy,agreement_source_only,agreement_seeds,"
        "metric,macro_f1_mean,macro_f1_std,balanced_accuracy_mean,balanced_accuracy_std,"
        "worst_class_mean,worst_class_std,rmse_mean,rmse_std,mae_mean,mae_std,r2_mean,r2_std,target_labels"
    )
    assert list(table_of(full).columns) == COLUMNS + NOTES


def test_rows_stand_in_reading_order(full):
    assert table_of(full)["strategy"].tolist() == ["scratch", "source_only", "finetune", "dann", "target_oracle"]


def test_rows_have_what_the_statistics_say_of_the_judged_ones(full):
    table, differences = table_of(full), estimated(SCRATCH, SOURCE_ONLY, FINETUNE, DANN)
    rows = [row_of(table, name) for name in ("source_only", "finetune", "dann")]
    low, high = differences.interval(0.95)
    for column, values in {"": differences.mean, "_low": low, "_high": high}.items():
        assert [row[f"delta_scratch{column}"] for row in rows] == pytest.approx(values)
    assert [row["slope_scratch"] for row in rows] == pytest.approx([float(differences.slope)] * 3)
    assert {row["seeds_scratch"] for row in rows} == {5}
    dann = rows[-1]
    assert dann["accuracy_mean"] == pytest.approx(np.mean(DANN))
    assert dann["accuracy_std"] == pytest.approx(np.std(DANN, ddof=1))
    assert dann["gap_closed"] == pytest.approx((0.712 - 0.604) / (0.958 - 0.604))
    assert (dann["seeds"], dann["diverged"], dann["seconds"], dann["level"]) == (5, 0, 12, 0.05)
    assert dann["verdict"] == "negative"
    assert dann["verdict_adaptation"] == "positive"
    on_source_only = estimated(SOURCE_ONLY, FINETUNE, DANN)
    assert dann["delta_source_only"] == pytest.approx(on_source_only.mean[1])


def test_holm_covers_the_rows_that_are_judged_and_no_others(full):
    table = table_of(full)
    expected = multipletests(estimated(SCRATCH, SOURCE_ONLY, FINETUNE, DANN).q(1.0), method="holm")[1]
    assert [row_of(table, name)["p_scratch"] for name in ("source_only", "finetune", "dann")] == pytest.approx(expected)
    expected = multipletests(estimated(SOURCE_ONLY, FINETUNE, DANN).q(1.0), method="holm")[1]
    assert [row_of(table, name)["p_source_only"] for name in ("finetune", "dann")] == pytest.approx(expected)


def test_a_row_among_many_needs_more_evidence(outputs):
    outputs.add("scratch", SCRATCH)
    outputs.add("finetune", [0.83, 0.86, 0.85, 0.84, 0.89])
    alone = row_of(table_of(outputs), "finetune")
    for name in range(9):
        accuracies = [0.79 + 0.01 * ((name + seed) % 4) for seed in range(5)]
        outputs.add("joint", accuracies, run_id=f"joint{name}", variant=f"width={name}")
    table = table_of(outputs)
    others = [[0.79 + 0.01 * ((name + seed) % 4) for seed in range(5)] for name in range(9)]
    differences = estimated(SCRATCH, [0.83, 0.86, 0.85, 0.84, 0.89], *others)
    assert row_of(table, "finetune")["p_scratch"] == pytest.approx(10 * differences.q(1.0).min())
    assert alone["p_scratch"] == pytest.approx(estimated(SCRATCH, [0.83, 0.86, 0.85, 0.84, 0.89]).q(1.0)[0])


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


def test_rows_are_held_against_the_baseline_of_the_same_seed(outputs):
    outputs.add("scratch", SCRATCH)
    outputs.add("dann", [one - 0.05 for one in SCRATCH])
    in_step = row_of(table_of(outputs), "dann")
    outputs.add("dann", [one - 0.05 for one in reversed(SCRATCH)])
    out_of_step = row_of(table_of(outputs), "dann")
    assert in_step["delta_scratch"] == pytest.approx(out_of_step["delta_scratch"])
    widths = [row["delta_scratch_high"] - row["delta_scratch_low"] for row in (in_step, out_of_step)]
    assert widths[0] < widths[1]


def test_a_seed_that_the_baseline_lacks_is_left_out_and_told_of(outputs):
    outputs.add("scratch", [0.1, *SCRATCH])
    outputs.add("dann", [*DANN, 0.1], first_seed=1)
    row = row_of(table_of(outputs), "dann")
    baseline, points = 100 * np.array([0.1, *SCRATCH]), np.array([[np.nan, *(100 * one for one in DANN)]])
    assert row["delta_scratch"] == pytest.approx(estimates(points, baseline).mean[0])
    assert row["seeds"] == 6
    assert row["accuracy_mean"] == pytest.approx(np.mean([*DANN, 0.1]))
    assert row["note"].endswith("without 1 seed that scratch has no result for")


def test_further_seeds_of_the_baseline_count(outputs):
    outputs.add("scratch", [*SCRATCH, 0.78, 0.85, 0.80])
    outputs.add("dann", DANN)
    row = row_of(table_of(outputs), "dann")
    points = np.full((1, 8), np.nan)
    points[0, :5] = 100 * np.array(DANN)
    differences = estimates(points, 100 * np.array([*SCRATCH, 0.78, 0.85, 0.80]))
    assert row["delta_scratch"] == pytest.approx(differences.mean[0])
    assert row["delta_scratch_high"] == pytest.approx(differences.interval(0.95)[1][0])
    assert row["seeds_scratch"] == 8


def test_seeds_that_came_by_and_by_are_judged_more_strictly(outputs):
    better = [0.83, 0.86, 0.85, 0.84, 0.88]
    asked = {"named once": [5] * 5, "the same, listed": [[0, 1, 2, 3, 4]] * 5, "one by one": [1, 2, 3, 4, 5]}
    asked |= {"auto": ["auto"] * 5}
    levels = {}
    for variant, seeds in asked.items():
        for seed, (accuracy, named) in enumerate(zip(better, seeds, strict=True)):
            outputs.add("dann", [accuracy], seed, variant=variant, run_id=variant, config={"seeds": named})
        outputs.add("scratch", SCRATCH)
        levels[variant] = table_of(outputs).set_index("variant").loc[variant, "level"]
    assert levels == {"named once": 0.05, "the same, listed": 0.05, "one by one": 0.02, "auto": 0.02}


def test_diverged_runs_are_counted_and_enter_nothing_else(outputs):
    outputs.add("scratch", [*SCRATCH, 0.8])
    outputs.add("dann", [*DANN, None])
    outputs.add("adda", [None] * 6)
    table = table_of(outputs)
    assert table["strategy"].tolist() == ["scratch", "dann", "adda"]
    dann, adda = row_of(table, "dann"), row_of(table, "adda")
    assert (dann["seeds"], dann["diverged"], dann["seconds"]) == (5, 1, 12)
    baseline, rows = 100 * np.array([*SCRATCH, 0.8]), np.full((2, 6), np.nan)
    rows[0, :5] = 100 * np.array(DANN)
    differences = estimates(rows, baseline)
    assert dann["delta_scratch"] == pytest.approx(differences.mean[0])
    assert (adda["seeds"], adda["diverged"], adda["verdict"]) == (0, 6, "inconclusive")
    assert adda[["accuracy_mean", "delta_scratch", "p_scratch", "seconds"]].isna().all()
    # The row that diverged counts as one that was tried.
    assert dann["p_scratch"] == pytest.approx(2 * differences.q(1.0)[0])


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
    undecided = [0.80, 0.84, 0.80, 0.83, 0.85]
    outputs.add("scratch", SCRATCH)
    outputs.add("finetune", undecided)
    outputs.add("dann", DANN)
    outputs.add("target_oracle", ORACLE)  # which isn't judged, and makes no row need more
    row = row_of(table_of(outputs), "finetune")
    seeds = seeds_to_decide(estimated(SCRATCH, undecided, DANN), 1.0, rows=2)
    assert row["verdict"] == "inconclusive"
    assert row["note"] == f"about {math.ceil(seeds[0] / 10) * 10} seeds would decide it in 8 of 10 cases"
    assert row_of(table_of(outputs), "dann")["note"] == ""


def test_a_baseline_that_collapsed_in_a_seed_leaves_nothing_decided_and_nothing_broken(outputs):
    outputs.add("scratch", [0.80, 0.10, 0.81, 0.79, 0.83])
    outputs.add("dann", DANN)
    outputs.add("finetune", FINETUNE)
    table = table_of(outputs)
    assert table["verdict"].dropna().tolist() == ["inconclusive"] * 2
    assert table["delta_scratch_low"].iloc[1:].notna().all()


def test_results_that_are_all_equal_are_equivalent(outputs):
    outputs.add("scratch", [0.8] * 5)
    outputs.add("dann", [0.8] * 5)
    outputs.add("finetune", [0.8] * 5)
    assert table_of(outputs)["verdict"].dropna().tolist() == ["equivalent"] * 2


def test_rows_of_other_seeds_share_what_they_share(outputs):
    outputs.add("scratch", SCRATCH)
    outputs.add("dann", DANN, first_seed=3)
    outputs.add("finetune", FINETUNE, first_seed=50)
    table = table_of(outputs)
    dann, finetune = row_of(table, "dann"), row_of(table, "finetune")
    assert dann["note"] == "fewer than 5 seeds; without 3 seeds that scratch has no result for"
    assert finetune["note"] == "fewer than 5 seeds; without 5 seeds that scratch has no result for"
    assert pd.isna(finetune["delta_scratch"])


def test_each_baseline_has_its_own_reason_for_what_is_not_known_of_new_examples(outputs):
    outputs.add("scratch", SCRATCH, test_set={})
    outputs.add("source_only", SOURCE_ONLY)
    outputs.add("dann", DANN)
    outputs.add("mcd", [None] * 5)
    table = table_of(outputs)
    dann = row_of(table, "dann")
    assert pd.isna(dann["delta_scratch_new_low"])
    assert dann["delta_source_only_new_low"] < dann["delta_source_only_low"]
    assert (dann["test_examples"], dann["reason"]) == (
        1000,
        "against scratch, older results, which don't say which examples they got right",
    )
    assert "no finished seed in common" in row_of(table, "mcd")["reason"]
