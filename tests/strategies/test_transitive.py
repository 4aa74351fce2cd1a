"""Hops over bridges: what each reads and moves, and real runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import Said, results, rows_of
from safetensors.torch import load_file

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.splits import Labelled, Unlabelled
from transferlab.errors import Refusal
from transferlab.estimates.reconstruction import well_reconstructed
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.stages import Estimate, Fit, Stage
from transferlab.strategies.transitive import Transitive

RunOf = Callable[..., Run]

TWO = ("strategy=transitive", "bridge.path=[mnist5k_m,mnist5k]")
HOPS = [("strategy.hop=finetune",), ("strategy.hop=adapt", "loss=mmd"), ("strategy.hop=self_training",)]
every_hop = pytest.mark.parametrize("hop", HOPS, ids=" ".join)


def stages(*arguments: str) -> list[Stage]:
    config = rows_of(*arguments)[0].config
    return list(config.strategy().stages(config.loss))


def read_by(stage: Stage) -> list[tuple[str, ...]]:
    assert isinstance(stage, Fit)
    return [tuple(read.stream for read in term.reads) for term in stage.phases[0].terms]


def test_without_a_bridge_finetuning_hops_are_finetuning() -> None:
    assert stages("strategy=transitive") == stages("strategy=finetune")


def test_finetuning_reads_each_bridges_labels_and_the_targets_budget() -> None:
    source, first, second, target = stages(*TWO)
    assert [stage.name for stage in (source, first, second, target)] == ["source", "bridge1", "bridge2", "target"]
    assert [read_by(stage) for stage in (source, first, second, target)] == [
        *([("source",)], [("bridge1",)], [("bridge2",)], [("target_labelled",)])
    ]


def test_adaptation_draws_each_domain_to_the_one_behind() -> None:
    config = rows_of(*TWO, "strategy.hop=adapt", "loss=mmd", "loss.weight=0.5")[0].config
    hops = config.strategy().stages(config.loss)[1:]
    assert [read_by(stage) for stage in hops] == [
        [("source",), ("source", "bridge1_unlabelled")],
        [("bridge1",), ("bridge1", "bridge2_unlabelled")],
        [("bridge2",), ("bridge2", "target_unlabelled")],
    ]
    for stage in hops:
        _, alignment = stage.phases[0].terms
        assert (alignment.name, alignment.weight, alignment.per_domain) == ("mmd", 0.5, True)


def test_self_training_labels_each_domain_just_before_it_is_crossed() -> None:
    _, *hops = stages(*TWO, "strategy.hop=self_training", "strategy.keep_fraction=0.7")
    estimates, fits = hops[::2], hops[1::2]
    for estimate, fit, stream in zip(
        estimates, fits, ["bridge1_unlabelled", "bridge2_unlabelled", "target_unlabelled"], strict=True
    ):
        assert isinstance(estimate, Estimate)
        assert (estimate.streams, dict(estimate.estimator.options)) == ((stream,), {"keep_fraction": 0.7})
        assert read_by(fit) == [(stream,)]


def test_the_backbone_is_slower_in_every_hop_but_not_on_the_source() -> None:
    source, *hops = stages(*TWO, "strategy.backbone_lr_scale=0.3")
    assert isinstance(source, Fit)
    assert source.lr_scales == {}
    assert all(isinstance(stage, Fit) and stage.lr_scales == {"backbone": 0.3} for stage in hops)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_error_ratio": 0.0}, "strategy.max_error_ratio=0.0: expected more than 0"),
        ({"select": "instances", "hop": "adapt"}, "strategy.select=instances: .*hop=finetune"),
        ({"keep_fraction": 0.0}, "strategy.keep_fraction=0.0: expected a fraction, above 0"),
        ({"keep_fraction": 1.5}, "strategy.keep_fraction=1.5"),
        ({"backbone_lr_scale": -1.0}, "strategy.backbone_lr_scale=-1.0: expected at least 0"),
    ],
)
def test_options_out_of_range(changes: dict[str, Any], words: str) -> None:
    options: dict[str, Any] = {
        "hop": "finetune",
        "keep_fraction": 0.9,
        "select": "all",
        "max_error_ratio": 1.5,
        "backbone_lr_scale": 0.1,
    }
    with pytest.raises(Refusal, match=words):
        Transitive(**options | {"bridges": 1} | changes)


def test_streams_of_bridges_and_what_they_hold(tiny_run: RunOf) -> None:
    run = tiny_run(*TWO)
    training, _ = run.examples()
    for place, bridge in enumerate(run.task.bridges, start=1):
        labelled, unlabelled = training.stream(f"bridge{place}"), training.stream(f"bridge{place}_unlabelled")
        assert isinstance(labelled, Labelled)
        assert isinstance(unlabelled, Unlabelled)
        assert not hasattr(unlabelled, "labels")
        train = ~test_mask(bridge)
        assert np.array_equal(labelled.inputs, np.moveaxis(bridge.inputs[train], 3, 1))
        assert np.array_equal(labelled.labels, bridge.labels[train])
        assert np.array_equal(unlabelled.inputs, np.moveaxis(bridge.inputs[train], 3, 1))
    assert training.stream("source") is training.source
    assert training.stream("target_unlabelled") is training.target_unlabelled


def _weights(run: Run) -> dict[str, torch.Tensor]:
    run_experiment(run, "test")
    return load_file(run.folder / "model.safetensors")


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def _with_bridge(run: Run, place: int, labels: np.ndarray) -> Run:
    """The run with other labels on one of its bridges; its splits, which go by class, pinned."""
    bridges = list(run.task.bridges)
    bridges[place] = replace(bridges[place], labels=labels, test=test_mask(bridges[place]))
    return replace(run, task=replace(run.task, bridges=tuple(bridges)))


@every_hop
def test_labels_that_a_hop_may_not_read_change_nothing(hop: tuple[str, ...], tiny_run: RunOf) -> None:
    """Of the last bridge: finetuning reads its labels, adaptation those of the domain behind, self-training none."""
    run = tiny_run("strategy=transitive", "bridge=mnist5k", *hop)
    labels = run.task.bridges[0].labels
    changed = _with_bridge(run, 0, (labels + 1) % 10)
    assert _equal(_weights(run), _weights(changed)) == (hop == ("strategy.hop=self_training",))
    test = test_mask(run.task.bridges[0])
    unseen = _with_bridge(run, 0, np.where(test, (labels + 1) % 10, labels))
    assert _equal(_weights(run), _weights(unseen))


@every_hop
def test_the_targets_hidden_labels_change_nothing(hop: tuple[str, ...], tiny_run: RunOf) -> None:
    run = tiny_run("strategy=transitive", "bridge=mnist5k", *hop, "target_labels_per_class=all")
    target = run.task.target
    test = test_mask(target)
    hidden = test if hop == ("strategy.hop=finetune",) else np.ones_like(test)
    labels = np.where(hidden, (target.labels + 1) % 10, target.labels)
    poisoned = replace(run, task=replace(run.task, target=replace(target, labels=labels, test=test)))
    assert _equal(_weights(run), _weights(poisoned))


@every_hop
def test_the_order_of_bridges_matters_and_a_seed_fixes_the_rest(hop: tuple[str, ...], tiny_run: RunOf) -> None:
    run = tiny_run(*TWO, *hop)
    other_way = tiny_run("strategy=transitive", "bridge.path=[mnist5k,mnist5k_m]", *hop)
    first = _weights(run)
    assert _equal(first, _weights(run))
    assert not _equal(first, _weights(other_way))
    assert run.run_id != other_way.run_id
    assert run.comparison_id == other_way.comparison_id


@pytest.mark.parametrize("hop", HOPS[1:], ids=" ".join)
def test_without_target_labels(hop: tuple[str, ...], train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    said = train_tiny("strategy=transitive", *hop, "bridge=mnist5k", "target_labels_per_class=0")
    assert said.code == 0, said.err
    (result,) = [one for one in results(tmp_path) if one["strategy"] == "transitive"]
    assert result["variant"] == f"bridge=mnist5k, hop={result['config']['strategy']['hop']}"
    assert result["timing"]["updates"] == 18
    assert result["metrics"]["source_accuracy"] is not None


def test_selection_comes_first_and_the_targets_labels_are_never_selected_from() -> None:
    autoencoder, choice, source, first, second, target = stages(
        *TWO, "strategy.select=instances", "strategy.max_error_ratio=2"
    )
    assert isinstance(autoencoder, Fit)
    assert isinstance(choice, Estimate)
    streams = ("source", "bridge1", "bridge2", "target_unlabelled")
    assert choice.streams == autoencoder.streams == streams
    assert (choice.estimator.options, autoencoder.refreshed[0].estimate) == ({"max_error_ratio": 2.0}, choice)
    fits = [stage for stage in (source, first, second, target) if isinstance(stage, Fit)]
    losses = [stage.phases[0].terms[0].loss.target.rpartition(".")[2] for stage in fits]
    assert losses == [*["KeptCrossEntropy"] * 3, "CrossEntropy"]


def test_examples_that_look_like_nothing_in_the_target_are_left_out(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the source and of the bridge are noise, which no autoencoder of 16 features makes again."""
    few = ("source.examples=600", "steps=120", "batch_size=32", "target_labels_per_class=all")
    run = tiny_run("strategy=transitive", "bridge=mnist5k", "strategy.select=instances", *few)
    random = np.random.default_rng(0)

    def with_noise(domain: Domain) -> Domain:
        images = domain.inputs.copy()
        images[::2] = random.choice([0, 255], images[::2].shape)
        return replace(domain, inputs=images)

    task = replace(run.task, source=with_noise(run.task.source), bridges=(with_noise(run.task.bridges[0]),))
    found: dict[str, torch.Tensor] = {}

    def noted(*arguments: Any, **options: Any) -> Any:
        kept = well_reconstructed(*arguments, **options)
        found.update({name: one["kept"] for name, one in kept.items()})
        return kept

    monkeypatch.setattr("transferlab.estimates.reconstruction.well_reconstructed", noted)
    result = run_experiment(replace(run, task=task), "test")
    assert result["status"] == "ok"
    training, _ = replace(run, task=task).examples()
    for name in ("source", "bridge1"):
        images = training.stream(name).inputs
        noise = np.isin(images, [0, 255]).all(axis=(1, 2, 3))
        kept = found[name].numpy().astype(bool)
        assert not kept[noise].any()
        assert kept[~noise].mean() > 0.5
    assert "kept" in (run.folder / "train.log").read_text()


ROTATED = """
import numpy as np
from scipy.ndimage import rotate
from transferlab.domains.digits import digits
from transferlab.domains.domain import Domain

def rotated(*, low: float, start: int) -> Domain:
    whole, random = digits(), np.random.default_rng(start)
    images = [rotate(one, random.uniform(low, low + 10), reshape=False, order=1) for one in whole.inputs[start::5]]
    return Domain(np.stack(images), whole.labels[start::5], whole.class_names)
"""


def test_gradual_self_training_goes_where_one_hop_does_not(
    transferlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotating digits, as in Kumar et al. (2020): from 0 to 40 degrees, in steps of 10 or in two."""
    (tmp_path / "rotated_for_self_training.py").write_text(ROTATED)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "domain").mkdir()
    for place in range(5):
        (tmp_path / "domain" / f"r{place}.yaml").write_text(
            f"_target_: rotated_for_self_training.rotated\nlow: {10 * place}.0\nstart: {place}\n"
        )
    job = ["--config-dir", str(tmp_path), "allow_packages=[rotated_for_self_training]", "source=r0", "target=r4"]
    job += ["strategy=transitive", "strategy.hop=self_training", "strategy.backbone_lr_scale=1", "baselines=[]"]
    job += ["backbone=mlp", "image.size=8", "bottleneck=64", "steps=150", "batch_size=32", "snapshots=1", "seeds=4"]
    said = transferlab("train", "-m", *job, f"output_root={tmp_path / 'out'}", "bridge.path=[r1,r2,r3],[r3]")
    assert said.code == 0, said.err
    found = results(tmp_path / "out")
    gradual, sudden = (
        np.mean([one["metrics"]["target_accuracy"] for one in found if bridges in one["variant"]])
        for bridges in ("bridge.path=[r1,r2,r3]", "bridge=r3")
    )
    assert gradual > sudden + 0.08
