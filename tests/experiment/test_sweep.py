"""`train` from the command line: what it writes, what it finds, and what it says."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from jobs import TINY, Said, results
from safetensors.torch import load_file

import transferlab.experiment.execution
from transferlab.system.files import json_digest
from transferlab.text import assignments

TrainTiny = Callable[..., Said]

FIELDS = [
    *("schema_version", "run_id", "comparison_id", "seed", "strategy", "source", "target", "backbone"),
    *("target_labels_per_class", "target_labels", "status", "variant", "changes", "setting", "shared_changes"),
    *("loss", "metrics"),
    *("selection", "warnings", "timing", "environment", "config", "files", "test_set", "label_scale", "sha256"),
]
FILES = {
    *("config.yaml", "result.json", "metrics.csv", "predictions.csv", "model.safetensors", "train.log", "state.json")
}


@pytest.mark.smoke
def test_a_run_leaves_what_the_contract_promises(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("strategy=finetune", "strategy.train=head", "baselines=[]")
    assert said.code == 0, said.err
    (folder,) = tmp_path.glob("runs/rendered_digits-to-digits/lenet/finetune/*/seed0")
    assert {path.name for path in folder.iterdir()} == FILES
    result = json.loads((folder / "result.json").read_text())
    assert list(result) == FIELDS
    assert result["sha256"] == json_digest(result)
    assert set(result["files"]) == {"config.yaml", "metrics.csv", "predictions.csv", "model.safetensors"}
    assert (result["status"], result["variant"], result["loss"]) == ("ok", "train=head", "none")
    assert (result["changes"], result["setting"]) == ({"train": "head"}, assignments(result["shared_changes"]))
    assert result["run_id"] == folder.parent.name
    assert set(result["metrics"]) == {
        *("target_accuracy", "target_macro_f1", "target_ece", "target_ari", "target_nmi"),
        *("source_accuracy", "per_class_accuracy", "target_confidence", "target_entropy", "target_information"),
    }
    assert set(result["selection"]) == {"validator", "selected_step", "selected", "last", "oracle"}
    assert result["selection"]["selected"] == result["selection"]["last"] == result["metrics"]["target_accuracy"]
    assert result["selection"]["oracle"] >= result["selection"]["last"]
    assert result["timing"]["updates"] == 12
    assert result["environment"]["threads"] == 1
    assert yaml.safe_load((folder / "config.yaml").read_text())["strategy"]["train"] == "head"
    assert json.loads((folder / "state.json").read_text())["state"] == "finished"
    assert {key.partition(".")[0] for key in load_file(folder / "model.safetensors")} == {
        *("backbone", "bottleneck", "head")
    }
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions) == ["index", "label", "prediction", "confidence"]
    right = (predictions["label"] == predictions["prediction"]).mean()
    assert right == pytest.approx(result["metrics"]["target_accuracy"])
    assert list(pd.read_csv(folder / "metrics.csv")["stage"].unique()) == ["source", "target"]


def test_missing_baselines_are_trained_once_and_shared(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("strategy=dan")
    assert "training 3 runs: scratch (1), source_only (1), dan (1)" in said.err
    said = train_tiny("strategy=deep_coral")
    assert "2 of 3 found; training 1 run: deep_coral (1)" in said.err
    assert [result["strategy"] for result in results(tmp_path)].count("scratch") == 1
    assert len({result["comparison_id"] for result in results(tmp_path)}) == 1
    table = pd.read_csv(tmp_path / "comparison" / "table.csv")
    assert set(table["strategy"]) == {"scratch", "source_only", "dan", "deep_coral"}


@pytest.mark.smoke
def test_the_same_command_again_trains_nothing_and_needs_no_torch(train_tiny: TrainTiny, tmp_path: Path) -> None:
    first = train_tiny("strategy=dan")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/**/*") if path.is_file()}
    program = (
        "import sys; from transferlab import cli; code = cli.run(sys.argv[1:]); "
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "train", *TINY, f"output_root={tmp_path}", "strategy=dan"]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stderr.splitlines() == ["transferlab: nothing to train: 3 of 3 found", "False"]
    assert again.stdout == first.out
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/**/*") if path.is_file()}


def test_overwrite_trains_again(train_tiny: TrainTiny) -> None:
    train_tiny("strategy=source_only", "baselines=[]")
    assert "training 1 run" in train_tiny("strategy=source_only", "baselines=[]", "overwrite=true").err


@pytest.mark.smoke
def test_a_sweep_trains_each_run_once_and_ends_with_one_table(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("-m", "strategy=finetune,dan", "target=digits,mnist5k")
    assert said.code == 0, said.err
    assert "training 8 runs" in said.err
    assert said.out.count("seconds") == 2  # one table, with a section for each source
    assert len(results(tmp_path)) == 8
    assert not list(tmp_path.glob("**/multirun.yaml"))


def test_a_sweep_over_bridges_is_one_comparison(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("-m", "strategy=transitive", "bridge=mnist5k,mnist5k_m")
    assert said.code == 0, said.err
    assert "training 4 runs: scratch (1), source_only (1), transitive (2)" in said.err
    rows = {(result["strategy"], result["variant"]) for result in results(tmp_path)}
    assert {("transitive", "bridge=mnist5k"), ("transitive", "bridge=mnist5k_m")} < rows
    assert len({result["comparison_id"] for result in results(tmp_path)}) == 1


def test_a_path_is_chosen_again_without_torch(train_tiny: TrainTiny, tmp_path: Path) -> None:
    job = ["strategy=transitive", "bridge=auto", "bridge.pool=[mnist5k]", "bridge.probe.examples=200"]
    first = train_tiny(*job)
    assert first.code == 0, first.err
    program = (
        "import sys; from transferlab import cli; code = cli.run(sys.argv[1:]); "
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "train", *TINY, f"output_root={tmp_path}", *job]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    chosen, *rest = again.stderr.splitlines()
    assert chosen == first.err.splitlines()[0]
    assert chosen.startswith("transferlab: bridge=auto: rendered_digits → ")
    assert rest == ["transferlab: nothing to train: 3 of 3 found", "False"]


def test_a_mistake_anywhere_in_a_sweep_stops_it_before_the_first_run(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("-m", "strategy=source_only,finetune", "target_labels_per_class=3,500")
    assert said.code == 2
    assert "target_labels_per_class=500" in said.err
    assert not list(tmp_path.iterdir())


def test_comparisons_say_the_settings_they_differ_in(train_tiny: TrainTiny) -> None:
    said = train_tiny("-m", "strategy=source_only", "optimizer=sgd,adamw", "baselines=[]")
    assert "optimizer=adamw" in said.out
    assert "steps=6" in said.out


def test_without_target_labels_there_is_no_scratch_and_no_verdict_on_it(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("strategy=dan", "target_labels_per_class=0", "seeds=5")
    assert said.code == 0, said.err
    assert "no baseline scratch" in said.err
    table = pd.read_csv(tmp_path / "comparison" / "table.csv").set_index("strategy")
    assert set(table.index) == {"source_only", "dan"}
    assert table["verdict"].isna().all()
    assert isinstance(table.loc["dan", "verdict_adaptation"], str)
    assert not table["negative_transfer"].any()


@pytest.mark.smoke
def test_fail_on_a_verdict(train_tiny: TrainTiny, tmp_path: Path) -> None:
    """Six steps on rendered digits are worse than six on the target's own: negative, and said in words."""
    job = ("strategy=source_only", "seeds=5", "steps=60", "target_labels_per_class=all")
    said = train_tiny(*job, "fail_on=negative")
    assert said.code == 3
    assert "NEGATIVE TRANSFER" in said.out
    assert "source_only hurts" in said.out
    assert train_tiny(*job).code == 0
    assert train_tiny(*job, "fail_on=[positive,inconclusive]").code == 0


@pytest.mark.smoke
def test_one_failing_run_leaves_the_others_standing(
    train_tiny: TrainTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = transferlab.experiment.execution.train

    def fails_on_one(run: Any, *rest: Any) -> Any:
        if run.config.strategy.name == "source_only":
            raise RuntimeError("the disk is on fire")
        return train(run, *rest)

    monkeypatch.setattr("transferlab.experiment.execution.train", fails_on_one)
    said = train_tiny("strategy=dan")
    assert said.code == 1
    assert "failed: source_only seed 0" in said.err
    assert "Traceback" not in said.err
    assert {result["strategy"] for result in results(tmp_path)} == {"scratch", "dan"}
    (log,) = tmp_path.glob("runs/**/source_only/**/train.log")
    assert "the disk is on fire" in log.read_text()
    state = json.loads((log.parent / "state.json").read_text())
    assert state["state"] == "failed"
    monkeypatch.undo()
    said = train_tiny("strategy=dan")
    assert said.code == 0
    assert "training 1 run: source_only (1)" in said.err


def test_divergence_is_a_result_never_averaged(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("strategy=source_only", "baselines=[]", "optimizer.lr=1e12", "steps=40", "log_every=5")
    assert said.code == 0
    assert "diverged: source_only seed 0" in said.err
    assert "1 diverged" in said.out
    (result,) = results(tmp_path)
    assert result["status"] == "diverged"
    assert "cross_entropy_source" in result["selection"]["reason"]
    assert result["metrics"]["target_accuracy"] is None


def test_validator_source_accuracy_chooses_without_the_target(train_tiny: TrainTiny, tmp_path: Path) -> None:
    said = train_tiny("strategy=source_only", "validator=source_accuracy", "baselines=[scratch]", "steps=40")
    assert said.code == 0, said.err
    for result in results(tmp_path):
        assert result["selection"]["validator"] == "source_accuracy"


def test_what_the_log_warns_of_before_the_first_run_is_said_once(
    train_tiny: TrainTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("transferlab").setLevel(logging.INFO)  # as an earlier run of the process leaves it

    def warn(run: object) -> None:
        logging.getLogger("transferlab").warning("weights w.pth: 1 of 2 tensors loaded")
        logging.getLogger("transferlab").info("not for the person at the command line")

    monkeypatch.setattr("transferlab.experiment.rehearsal.refuse_impossible", warn)
    said = train_tiny("strategy=finetune", "strategy.train=head,full", "baselines=[]", "seeds=[0,1]", "-m", "steps=1")
    assert said.err.count("transferlab: weights w.pth: 1 of 2 tensors loaded") == 1
    assert said.err.count("weights w.pth") == 1
    assert "not for the person" not in said.err
