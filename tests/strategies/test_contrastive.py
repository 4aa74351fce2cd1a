"""Contrastive and siamese: what is learnt without labels, what from pairs, and what either is for."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import BLUEPRINT, IMAGES, LABELS, setup_of
from jobs import TINY, rows_of
from sklearn.neighbors import NearestCentroid
from staged import changed, modules_after
from torch import Tensor, nn

from transferlab.augmentation import images as augmentation
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.models.network import build_network
from transferlab.solvers.prototypes import NearestPrototype
from transferlab.stages import ENCODER, NETWORK, Fit
from transferlab.strategies.strategy import Strategy
from transferlab.training.fit import fit
from transferlab.training.seeding import generator, seeded
from transferlab.training.streams import Examples, Stream, as_tensor, in_chunks

RunOf = Callable[..., Run]


@cache
def _config(name: str) -> TrainConfig:
    return rows_of(*TINY, f"strategy={name}", "device=cpu", "precision=fp32")[0].config


def _strategy(name: str, **options: Any) -> Strategy:
    shipped = _config(name).strategy
    return replace(shipped, options={**shipped.options, **options})()


def _with(run: Run, **options: Any) -> Run:
    strategy = run.config.strategy
    other = replace(strategy, options={**strategy.options, **options})
    return run.with_config(replace(run.config, strategy=other))


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def _logged(run: Run, term: str) -> list[float]:
    """The term's values in metrics.csv, in order."""
    run_experiment(run, "test")
    header, *rows = _rows(run.folder / "metrics.csv")
    return [float(row[header.index(term)]) for row in rows if row[header.index(term)]]


def _fewer_classes(run: Run) -> Run:
    """The run with a source of four classes, named apart from the target's ten."""
    source = run.task.source
    merged = replace(source, labels=source.labels % 4, class_names=("a", "b", "c", "d"))
    return replace(run, task=replace(run.task, source=merged))


@pytest.mark.parametrize(
    ("labels", "streams"),
    [("target", {"target_labelled"}), ("source", {"source"}), ("both", {"source", "target_labelled"})],
)
def test_the_second_stage_reads_the_labels_it_is_told_to(labels: str, streams: set[str]) -> None:
    strategy = _strategy("contrastive", labels=labels)
    first, second = strategy.stages(None)
    assert set(first.streams) == {"source_unlabelled", "target_unlabelled"}
    assert set(second.streams) == streams
    assert strategy.classes == ("any" if labels == "target" else "same")


def _first_stage(labels: Tensor, see: Callable[[Tensor], object] = lambda _: None) -> list[dict[str, nn.Module]]:
    """A small network after each of two contrastive steps on made images; ``see`` is given what the backbone is."""
    stage = _strategy("contrastive").stages(None)[0]
    assert isinstance(stage, Fit)
    with seeded(0, "network"):
        modules = build_network(BLUEPRINT)
    modules["backbone"].register_forward_pre_hook(lambda _module, inputs: see(inputs[0]) and None)
    streams = {name: Stream(Examples(IMAGES, labels), 16, generator(0, name)) for name in stage.streams}
    config = replace(_config("contrastive"), steps=2, snapshots=2, batch_statistics="joint")
    snapshots = fit(stage, modules, streams, setup_of(config))
    return [snapshot.modules for snapshot in snapshots]


def test_the_first_stage_moves_encoder_and_projector_and_reads_no_label() -> None:
    everything = (*NETWORK, "projector")
    first, second = _first_stage(LABELS)
    assert {key.partition(".")[0] for key in changed(first, second, *everything)} == {*ENCODER, "projector"}
    assert not changed(second, _first_stage(3 - LABELS)[1], *everything)


def test_both_domains_are_seen_in_two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of 16 source and 16 target examples in each of two views, drawn one by one."""
    values = iter(range(1, 100))
    monkeypatch.setattr(augmentation, "strong", lambda x, **_options: torch.full_like(x, next(values) / 100))
    seen: list[list[float]] = []
    _first_stage(LABELS, lambda images: seen.append(images.amax((1, 2, 3)).tolist()))
    assert seen[0] == pytest.approx([0.01] * 16 + [0.02] * 16 + [0.03] * 16 + [0.04] * 16)


def test_a_linear_head_leaves_the_encoder_and_finetuning_does_not(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=contrastive")
    before = modules_after(run, 1)
    linear, finetuned = modules_after(_with(run, then="linear")), modules_after(run)
    assert not changed(before, linear, *ENCODER)
    assert changed(before, linear, "head") == {"head.weight", "head.bias"}
    assert {key.partition(".")[0] for key in changed(before, finetuned, *ENCODER)} == set(ENCODER)


@pytest.mark.parametrize("similarity_of", ["cosine", "dot"])
def test_views_learn_to_find_each_other(similarity_of: str, tiny_run: RunOf) -> None:
    run = tiny_run("strategy=contrastive", "steps=60", "log_every=10", "snapshots=1", "optimizer.lr=0.01")
    run = _with(run, similarity=similarity_of, temperature=0.1 if similarity_of == "cosine" else 1.0)
    values = _logged(run, "nt_xent")
    assert values[-1] < 0.95 * values[0]


def test_label_spaces_may_differ_for_contrastive(tiny_run: RunOf) -> None:
    result = run_experiment(_fewer_classes(tiny_run("strategy=contrastive")), "test")
    assert result["status"] == "ok"
    assert result["metrics"]["source_accuracy"] is None


def test_siamese_moves_the_encoder_and_then_replaces_the_head(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=siamese")
    none, first, last = (
        modules_after(run.with_config(replace(run.config, steps=1)), 1),
        *(modules_after(run, count) for count in (1, 2)),
    )
    assert changed(none, first, *ENCODER)
    assert not changed(none, first, "head")
    assert not changed(first, last, *ENCODER)
    assert isinstance(last["head"], NearestPrototype)


def test_siamese_predicts_as_scikit_learns_nearest_centroid(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=siamese", "steps=30")
    modules = modules_after(run)
    training, test = run.examples()
    encoder = nn.Sequential(*(modules[name] for name in ENCODER)).eval()

    def features(images: np.ndarray) -> Tensor:
        return in_chunks(encoder, as_tensor(images, "cpu"))

    labelled = training.target_labelled
    theirs = NearestCentroid().fit(features(labelled.inputs).double().numpy(), labelled.labels)
    unseen = features(test.inputs)
    ours = modules["head"](unseen).argmax(1).numpy()
    assert (ours == theirs.predict(unseen.double().numpy())).mean() > 0.998


def test_pairs_come_together_and_apart(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=siamese", "steps=60", "log_every=10", "snapshots=1")
    values = _logged(run, "pairs")
    assert values[-1] < 0.3 * values[0]


def test_label_spaces_may_differ_for_siamese_pairs_within_domains(tiny_run: RunOf, tmp_path: Path) -> None:
    assert _strategy("siamese").classes == "same"
    assert _strategy("siamese", pairs="within").classes == "any"
    run = _fewer_classes(_with(tiny_run("strategy=siamese"), pairs="within"))
    assert run_experiment(run, "test")["status"] == "ok"
    head = modules_after(run)["head"]
    assert isinstance(head, NearestPrototype)
    head.write(tmp_path, run.task.source.class_names, run.task.target.class_names)
    rows = _rows(tmp_path / "class_similarity.csv")
    assert [len(rows), len(rows[0])] == [5, 11]


@pytest.mark.parametrize(
    ("name", "option", "value", "words"),
    [
        ("contrastive", "temperature", 0, "more than 0"),
        ("contrastive", "projection", 0, "at least 1"),
        ("contrastive", "backbone_lr_scale", -1, "at least 0"),
        ("siamese", "margin", 0, "more than 0"),
    ],
)
def test_values_out_of_range(name: str, option: str, value: float, words: str) -> None:
    with pytest.raises(Refusal, match=rf"^strategy\.{option}={value}: expected .*{words}"):
        _strategy(name, **{option: value})
