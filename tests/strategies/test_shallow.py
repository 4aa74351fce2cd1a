"""``shallow`` and ``tradaboost``: which modules they leave, what they read, and that hidden labels change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from jobs import Said, rows_of
from safetensors.torch import load_file
from staged import changed, modules_after

from transferlab.domains import splits
from transferlab.domains.draws import test_mask
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.stages import PLAIN, Solve
from transferlab.strategies.shallow import Shallow
from transferlab.strategies.tradaboost import Tradaboost
from transferlab.training.streams import as_tensor, in_chunks

RunOf = Callable[..., Run]

METHODS = get_args(get_type_hints(Shallow)["method"])
PIXELS = ("strategy=shallow", "strategy.features=raw")
FEW = ("strategy.components=5", "strategy.kernel_components=40", "strategy.max_examples=60")


def right(run: Run) -> float:
    return run_experiment(run, "test")["metrics"]["target_accuracy"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_classifies_pixels(method: str, tiny_run: RunOf) -> None:
    """Far better than by chance, and without a single step."""
    run = tiny_run(*PIXELS, f"strategy.method={method}", *FEW[2:])
    result = run_experiment(run, "test")
    assert result["metrics"]["target_accuracy"] > 0.3
    assert result["timing"]["updates"] == 0
    assert all(name.startswith("head.") for name in load_file(run.folder / "model.safetensors"))


@pytest.mark.parametrize("classifier", ["kernel_logistic", "svm_linear", "svm_rbf"])
@pytest.mark.parametrize("method", ["tca", "adaptive_svm"])
def test_every_classifier_classifies_pixels(method: str, classifier: str, tiny_run: RunOf) -> None:
    arguments = (f"strategy.method={method}", f"strategy.classifier={classifier}", *FEW)
    assert right(tiny_run(*PIXELS, *arguments)) > 0.3


def test_pixels_are_those_the_network_would_see(tiny_run: RunOf) -> None:
    run = tiny_run(*PIXELS, "strategy.method=ot_mapping")
    seen: list[torch.Tensor] = []
    modules = modules_after(run, change=lambda stage: replace(stage, solver=seen_by(stage, seen)))
    training, _ = run.examples()
    images = training.target_unlabelled.inputs
    wanted = images.reshape(len(images), -1) / 127.5 - 1
    np.testing.assert_allclose(seen[0].numpy(), wanted, atol=1e-6)
    whole = in_chunks(modules["head"], as_tensor(images, "cpu"))
    np.testing.assert_allclose(whole, modules["head"](seen[0]).detach(), atol=1e-5)


def seen_by(stage: Any, seen: list[torch.Tensor]) -> Any:
    def solver(examples: Any, *, classes: int) -> Any:
        seen.append(examples["target_unlabelled"].inputs)
        return stage.solver(examples, classes=classes)

    return solver


def test_the_network_stays_as_the_source_fit_left_it(tiny_run: RunOf) -> None:
    for strategy in ("shallow", "tradaboost"):
        run = tiny_run(f"strategy={strategy}")
        before, after = modules_after(run, 1), modules_after(run)
        assert changed(before, after, "backbone", "bottleneck") == set()
        assert run.strategy.predictor == ("backbone", "bottleneck", "head")


@pytest.fixture(scope="module")
def shallow() -> Shallow:
    """As it is shipped."""
    return rows_of("strategy=shallow")[0].config.strategy()


@pytest.fixture(scope="module")
def tradaboost() -> Tradaboost:
    """As it is shipped."""
    return rows_of("strategy=tradaboost")[0].config.strategy()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_read(method: Any, shallow: Shallow) -> None:
    unsupervised = replace(shallow, method=method, features="raw")
    semi = replace(unsupervised, use_target_labels=True)
    if method == "adaptive_svm":
        assert unsupervised.reads(None) == semi.reads(None) == {"source", "target_labelled"}
    else:
        assert unsupervised.reads(None) == {"source", "target_unlabelled"}
        assert semi.reads(None) == {"source", "target_unlabelled", "target_labelled"}
    (stage,) = unsupervised.stages(None)
    assert isinstance(stage, Solve)
    assert stage.encoder == PLAIN


def test_tradaboost_reads_the_source_and_the_budget(tradaboost: Tradaboost) -> None:
    assert tradaboost.reads(None) == {"source", "target_labelled"}


@pytest.mark.parametrize(
    "arguments",
    [("strategy.method=adaptive_svm",), ("strategy.method=tca", "strategy.use_target_labels=true"), ()],
    ids=str,
)
def test_hidden_target_labels_change_nothing_and_those_in_the_budget_do(
    arguments: tuple[str, ...], tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(*PIXELS, *arguments, *FEW[2:])
    target, honest = run.task.target, modules_after(run)
    train = np.flatnonzero(~test_mask(target))
    budget = splits.labelled_part(train, target.labels, run.budget, run.seed)
    monkeypatch.setattr(splits, "labelled_part", lambda *_: budget)
    for spoilt, matters in ((np.setdiff1d(train, budget), False), (budget, bool(arguments))):
        labels = target.labels.copy()
        labels[spoilt] = (labels[spoilt] + 1) % 10
        poisoned = replace(run.task, target=replace(target, labels=labels, test=test_mask(target)))
        assert bool(changed(honest, modules_after(replace(run, task=poisoned)), "head")) == matters


def test_labels_of_the_target_help_adaptive_svm_and_tradaboost(tiny_run: RunOf) -> None:
    more = ("target_labels_per_class=20",)
    assert right(tiny_run(*PIXELS, "strategy.method=adaptive_svm", *more)) > 0.1 + right(tiny_run(*PIXELS))
    assert right(tiny_run("strategy=tradaboost", *more)) > 0.1 + right(tiny_run("strategy=source_only"))


def test_a_tree_ensemble_is_left_by_tradaboost(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=tradaboost", "strategy.base=tree", "strategy.rounds=3")
    run_experiment(run, "test")
    saved = [name for name in load_file(run.folder / "model.safetensors") if name.startswith("head")]
    assert saved == ["head.votes"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("C", 0.0),
        ("gamma", 0.0),
        ("kernel_components", 0),
        ("components", 0),
        ("mu", 0.0),
        ("shrinkage", 1.5),
        ("shrinkage", -0.1),
        ("bandwidth", 0.0),
        ("clip", 0.5),
        ("drop_fraction", 1.0),
        ("drop_fraction", -0.1),
        ("delta_C", 0.0),
        ("max_examples", 1),
    ],
)
def test_odd_options_of_shallow_are_refused(option: str, value: float, shallow: Shallow) -> None:
    with pytest.raises(Refusal, match=f"strategy.{option}={value}: expected"):
        replace(shallow, **{option: value})


@pytest.mark.parametrize(("option", "value"), [("rounds", 0), ("depth", 0), ("C", 0.0)])
def test_odd_options_of_tradaboost_are_refused(option: str, value: float, tradaboost: Tradaboost) -> None:
    with pytest.raises(Refusal, match=f"strategy.{option}={value}: expected"):
        replace(tradaboost, **{option: value})


def test_an_unknown_method_is_answered_with_the_choices(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=shallow", "strategy.method=carol")
    assert said.code == 2
    assert all(method in said.err for method in METHODS)
    said = train_tiny("strategy=shallow", "strategy.gamma=auto")
    assert "strategy.gamma=auto: expected a number, or scale" in said.err


ALONE = ("strategy.method=none", "strategy.use_source=false", "strategy.use_target_labels=true")


@pytest.mark.parametrize("classifier", ["logistic", "forest", "boosting"])
def test_a_classifier_may_learn_from_the_target_alone(classifier: str, tiny_run: RunOf) -> None:
    run = tiny_run(*PIXELS, *ALONE, f"strategy.classifier={classifier}", "target_labels_per_class=20")
    assert run.strategy.reads(None) == {"target_labelled"}
    assert right(run) > 0.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("strategy.use_source=false",), "use_source=false: expected method=none, and features=raw or tfidf"),
        ((*PIXELS[1:], "strategy.use_source=false", "strategy.method=none"), "nothing is left to learn from"),
        (("strategy.features=tfidf", "strategy.method=adaptive_svm"), "method=adaptive_svm takes raw or network"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        rows_of("strategy=shallow", *arguments)[0].config.strategy()


def test_tfidf_is_refused_for_images(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=shallow", "strategy.features=tfidf")
    assert said.code == 2
    assert "features=tfidf is of texts; raw takes all inputs" in said.err
