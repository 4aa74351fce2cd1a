import numpy as np
import pytest
from estimates_made import made, made_test_set
from scipy import stats

from transferlab.comparison.compare import compare
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.examples import for_new_examples, variance_over_examples
from transferlab.comparison.statistics import estimates
from transferlab.comparison.test_set import Right, packed, right_of


def kept(right: list[int], indices: list[int] | None = None) -> Right:
    places = np.array(indices or range(len(right)))
    differences = right_of(packed(np.array(right, dtype=bool), places, np.zeros(len(right), dtype=np.int64)))
    assert differences is not None
    return differences


@pytest.mark.parametrize("count", [1, 7, 8, 9, 539])
def test_a_bit_for_each_example_comes_back(count: int):
    right = np.random.default_rng(count).random(count) < 0.7
    assert kept(right.astype(int).tolist()).unpacked().tolist() == right.astype(int).tolist()


def test_the_variance_is_that_of_the_examples_mean_difference():
    row = {0: kept([1, 1, 0, 1]), 1: kept([1, 0, 0, 1])}
    baseline = {0: kept([0, 1, 0, 0]), 1: kept([0, 1, 1, 0]), 2: kept([0, 1, 0, 1])}
    differences = [1 - 0, 0.5 - 1, 0 - 1 / 3, 1 - 1 / 3]
    variance, count = variance_over_examples(row, baseline)
    assert variance == pytest.approx(1e4 * np.var(differences, ddof=1))
    assert count == 4


@pytest.mark.parametrize(
    ("row", "baseline", "reason"),
    [
        ({}, {0: kept([1, 0])}, "no finished seed in common"),
        ({0: None}, {0: kept([1, 0])}, "which examples they got right"),
        ({0: kept([1, 0])}, {0: kept([1, 0]), 1: None}, "which examples they got right"),
        ({0: kept([1, 0])}, {0: kept([1, 0, 1])}, "different test examples"),
        ({0: kept([1, 0])}, {0: kept([1, 0], [1, 0])}, "different test examples"),
        ({0: kept([1])}, {0: kept([0])}, "a single test example"),
    ],
)
def test_what_cannot_be_known_has_a_reason(row: dict[int, Right], baseline: dict[int, Right], reason: str):
    with pytest.raises(ValueError, match=reason):
        variance_over_examples(row, baseline)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 9, "examples": "a", "right": "AA=="},
        {"count": 8, "examples": "a", "right": "A"},
        {"count": 8, "examples": "a", "right": "ÄA=="},
        {"count": True, "examples": "a", "right": "AA=="},
        {"count": 0, "examples": "a", "right": ""},
        {"right": "AA=="},
    ],
)
def test_what_is_not_such_a_field_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="test"):
        right_of(wrong)


def test_new_examples_add_their_variance_and_never_narrow_an_interval():
    differences = made(3.0, 1.0, degrees=2.0)
    wider = for_new_examples(differences, np.array([800.0]), np.array([400.0]))
    assert wider.error[0] == pytest.approx(np.sqrt(1 + 800 / 400))
    for variance in (0.0, 1.0, 100.0, 1e5):
        new = for_new_examples(differences, np.array([variance]), np.array([400.0]))
        assert new.interval(0.95)[1][0] >= differences.interval(0.95)[1][0] - 1e-9
    assert np.isnan(for_new_examples(differences, np.array([np.nan]), np.array([np.nan])).error).all()


def test_coverage_over_new_seeds_and_new_examples():
    """Each example has a difficulty under either row, each seed an effect: the interval holds the true difference."""
    random, examples, seeds, inside, true = np.random.default_rng(1), 200, 6, 0, 0.05
    for _ in range(300):
        hard = random.random(examples)
        rights = []
        for shift in (0.0, true):
            chance = np.clip(0.3 + 0.5 * hard + shift + 0.1 * random.standard_normal(examples), 0, 1)
            level = 0.02 * random.standard_normal(seeds)
            rights.append(random.random((seeds, examples)) < np.clip(chance + level[:, None], 0, 1))
        points = 100 * np.array([right.mean(1) for right in rights])
        differences = estimates(points[1:], points[0])
        row, baseline = ({s: kept(one.astype(int).tolist()) for s, one in enumerate(right)} for right in rights[::-1])
        variance, count = variance_over_examples(row, baseline)
        low, high = for_new_examples(differences, np.array([variance]), np.array([float(count)])).interval(0.95)
        inside += low[0] <= 100 * true <= high[0]
    assert 0.92 < inside / 300 < 0.995


def test_a_word_that_other_examples_might_overturn_says_so(outputs):
    outputs.add("scratch", [0.80, 0.802, 0.801, 0.799, 0.80])
    outputs.add("dann", [0.825, 0.826, 0.824, 0.825, 0.827])
    table = compare(outputs.root, Criterion(1.0)).table.set_index("strategy")
    assert table.loc["dann", "verdict"] == "positive"
    assert "on this test set alone; about" in table.loc["dann", "note"]
    assert table.loc["dann", "delta_scratch_new_low"] < 1
    assert table.loc["dann", "test_examples"] == 1000


def test_results_from_before_have_an_empty_cell_and_a_line_that_says_why(outputs):
    outputs.add("scratch", [0.80, 0.82, 0.81, 0.79, 0.83], test_set={})
    outputs.add("dann", [0.70, 0.73, 0.71, 0.70, 0.72])
    comparison = compare(outputs.root, Criterion(1.0))
    row = comparison.table.set_index("strategy").loc["dann"]
    assert np.isnan(row["delta_scratch_new_low"])
    assert row["verdict"] == "negative"
    assert comparison.warnings == [
        "mnist5k → digits: no interval for new test examples: against scratch, older results, "
        "which don't say which examples they got right"
    ]


def test_the_number_of_examples_that_would_settle_a_word_is_above_what_there_is(outputs):
    """Also where the rows' order changes once other examples count."""
    random = np.random.default_rng(3)
    outputs.add("scratch", (0.8 + 0.004 * random.standard_normal(12)).tolist())
    for name in range(7):
        gain = random.uniform(0.012, 0.03)
        accuracies = (0.8 + gain + 0.004 * random.standard_normal(5)).tolist()
        outputs.add("dann", accuracies, variant=f"width={name}", run_id=f"d{name}")
    notes = compare(outputs.root, Criterion(1.0)).table["note"].dropna()
    numbers = [int(note.split("about ")[1].split(" ")[0].replace(",", "")) for note in notes if "settle" in note]
    assert numbers
    assert min(numbers) > 1000


def test_the_number_of_examples_is_where_the_word_begins_to_hold(outputs):
    """For two rows: |d| less the margin is Student's t at 5% / (2 · 2) times the error."""
    outputs.add("scratch", [0.80, 0.802, 0.801, 0.799, 0.80])
    outputs.add("dann", [0.825, 0.826, 0.824, 0.825, 0.827])
    outputs.add("mcd", [0.801, 0.80, 0.802, 0.80, 0.801])
    comparison = compare(outputs.root, Criterion(1.0))
    row = comparison.table.set_index("strategy").loc["dann"]
    differences = estimates(
        100 * np.array([[0.825, 0.826, 0.824, 0.825, 0.827], [0.801, 0.80, 0.802, 0.80, 0.801]]),
        100 * np.array([0.80, 0.802, 0.801, 0.799, 0.80]),
    )
    rights = {
        name: {seed: right_of(made_test_set(name, accuracy)) for seed, accuracy in enumerate(accuracies)}
        for name, accuracies in {
            "scratch": [0.80, 0.802, 0.801, 0.799, 0.80],
            "dann": [0.825, 0.826, 0.824, 0.825, 0.827],
        }.items()
    }
    variance, _ = variance_over_examples(rights["dann"], rights["scratch"])
    error = (differences.mean[0] - 1) / stats.t.isf(0.05 / 4, differences.degrees[0])
    needed = variance / (error**2 - differences.error[0] ** 2)
    named = int(row["note"].split("about ")[1].split(" ")[0].replace(",", ""))
    assert needed <= named <= 1.1 * needed


def test_seeds_that_the_baseline_lacks_count_for_no_example(outputs):
    outputs.add("scratch", [0.80, 0.82, 0.81, 0.79, 0.83])
    outputs.add("dann", [0.70, 0.73, 0.71, 0.70, 0.72])
    before = compare(outputs.root, Criterion(1.0)).table.set_index("strategy").loc["dann", "delta_scratch_new_high"]
    outputs.add("dann", [0.1], first_seed=9)
    after = compare(outputs.root, Criterion(1.0)).table.set_index("strategy").loc["dann", "delta_scratch_new_high"]
    assert after == before
