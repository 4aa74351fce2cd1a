from pathlib import Path
from typing import Any

import pytest
from statsmodels.stats.weightstats import DescrStatsW

from transferlab.comparison.compare import compare
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.curve import curve
from transferlab.comparison.results import read_results
from transferlab.errors import Refusal

ACCURACIES = [0.70, 0.73, 0.71, 0.70, 0.72]


def sharing(layer: str) -> dict[str, Any]:
    changes = {} if layer == "block1" else {"layer": layer, "shared": "slow, with commas"}
    variant = "" if layer == "block1" else f"layer={layer}, shared=slow,withcommas"
    return {
        "run_id": layer,
        "variant": variant,
        "changes": changes,
        "config": {"strategy": {"layer": layer, "deep": {"name": "x"}}},
    }


@pytest.fixture
def made(outputs):
    for layer in ("block10", "block1", "block2"):
        outputs.add("feature_sharing", ACCURACIES if layer == "block1" else [0.9], **sharing(layer))
    outputs.add("feature_sharing", [None], **sharing("block3"))
    outputs.add("scratch", [0.5, 0.6], config={"strategy": {}})
    outputs.add("dann", [0.5, 0.6], config={"strategy": {}})
    outputs.add("scratch", [0.1], comparison_id="another", config={"strategy": {}})
    return outputs


def test_a_point_is_the_mean_with_its_interval_against_statsmodels(made):
    points = curve(read_results(made.root)[0], "strategy.layer").set_index("value")
    point = points.loc["block1"]
    assert point["accuracy_mean"] == pytest.approx(0.712)
    interval = DescrStatsW(ACCURACIES).tconfint_mean(0.05)
    assert (point["accuracy_low"], point["accuracy_high"]) == pytest.approx(interval)
    assert (point["seeds"], points.loc["block2", "seeds"]) == (5, 1)


def test_values_are_in_natural_order_and_baselines_of_the_comparison_are_levels(made):
    points = curve(read_results(made.root)[0], "strategy.layer")
    slow = points[points["variant"] == "shared=slow,withcommas"]
    assert slow["value"].tolist() == ["block2", "block10"]  # and no block3, which diverged
    assert points[points["value"] == ""][["strategy", "accuracy_mean"]].to_numpy().tolist() == [["scratch", 0.55]]


def test_numbers_are_ordered_as_numbers_and_a_setting_makes_one_line(outputs):
    for rate in ("0.1", "0.03", "1e-3"):
        shared = {"optimizer.lr": float(rate), "steps": 9}
        fields = {"comparison_id": rate, "setting": f"optimizer.lr={rate}, steps=9", "shared_changes": shared}
        for strategy in ("scratch", "dann"):
            outputs.add(strategy, [0.5], **fields, config={"optimizer": {"lr": float(rate)}})
    points = curve(read_results(outputs.root)[0], "optimizer.lr")
    assert points["value"].tolist() == ["0.001", "0.03", "0.1"] * 2
    assert points["strategy"].tolist() == ["dann"] * 3 + ["scratch"] * 3
    assert set(points["setting"]) == {"steps=9"}


@pytest.mark.parametrize(("key", "reason"), [("strategy.nothing", "no result has it"), ("strategy.deep", "all have x")])
def test_nothing_to_draw_is_refused(made, key: str, reason: str):
    with pytest.raises(Refusal, match=f"curve={key}: {reason}"):
        curve(read_results(made.root)[0], key)


def test_compare_writes_numbers_and_picture(made, tmp_path: Path):
    compare(made.root, Criterion(1.0), key="strategy.layer").write(tmp_path)
    assert (tmp_path / "comparison" / "curve.csv").read_text().count("\n") == 5
    assert (tmp_path / "comparison" / "curve.png").read_bytes().startswith(b"\x89PNG")
