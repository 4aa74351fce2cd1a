"""What is asked before the first run: names in a strategy's stages, labels, folders, threads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from jobs import STRATEGIES, TOLD, Said, rows_of

from transferlab.config.component import Component, components_of
from transferlab.config.input_settings import RegressionConfig
from transferlab.config.schema import TrainConfig
from transferlab.config.signatures import options_of
from transferlab.errors import Refusal, in_words
from transferlab.experiment import preflight
from transferlab.experiment.preflight import cores, crowded, refuse_misnamed
from transferlab.experiment.rehearsal import refuse_impossible
from transferlab.experiment.run import Run
from transferlab.stages import CROSS_ENTROPY, Estimate, Fit, Phase, Read, Solve, Stage, Term, fit_source
from transferlab.strategies.regression import for_numbers
from transferlab.strategies.source_only import SourceOnly

SOLVERS = "transferlab.solvers.classifiers"
LATER = "transferlab.losses.classification"


def _fit(term: Term, **more: Any) -> Fit:
    return Fit("later", (Phase((term,)),), **more)


def _with(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    monkeypatch.setattr(SourceOnly, "stages", lambda _self, _loss: [fit_source(), stage])


TERM = Term("x", CROSS_ENTROPY, (Read("source"),))


def _ask(run: Run) -> None:
    refuse_misnamed(run.config)
    refuse_impossible(run)


MISNAMED: dict[str, tuple[Stage, str]] = {
    "a loss": (
        _fit(replace(TERM, loss=Component(f"{LATER}.CrosEntropy"))),
        "class 'CrosEntropy'",
    ),
    "a module": (
        _fit(replace(TERM, loss=Component("transferlab.loses.x.Y"))),
        "module 'transferlab.loses.x'",
    ),
    "a new module": (_fit(TERM, new={"head": Component("transferlab.models.network.Heads")}), "class 'Heads'"),
    "a solver": (Solve("later", ("source",), Component(f"{SOLVERS}.logistics", {"C": 1.0})), "class 'logistics'"),
    "an estimator": (
        Estimate("later", ("source",), Component("transferlab.estimates.soups.hold")),
        "class 'hold'",
    ),
    "an option": (
        Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbors": 5})),
        "mean neighbours",
    ),
    "no option": (Solve("later", ("source",), Component(f"{SOLVERS}.knn")), "neighbours: no value given"),
    "a type": (Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbours": "5"})), "a whole number"),
    "a nested one": (
        _fit(TERM, builds=(Component("transferlab.models.sharing.head_of_layers", {"head": Component("torch.nn.X")}),)),
        "torch.nn.X: module 'torch.nn' has no attribute 'X'",
    ),
    "torch's": (_fit(TERM, new={"y": Component("torch.nn.Idenity")}), "has no attribute 'Idenity'"),
    "a stream": (
        _fit(replace(TERM, reads=(Read("sorce"),))),
        "reads sorce: no such name. Did you mean source",
    ),
    "a domain": (_fit(replace(TERM, reads=(Read("bridge1"),))), "reads bridge1: no such name"),
    "a classifier": (_fit(replace(TERM, reads=(Read("source", classifier="haed"),))), "uses haed: no such name"),
    "a part": (_fit(replace(TERM, reads=(Read("source", classifier="head.third"),))), "uses head.third: no such name"),
    "an encoder": (
        Solve("later", ("source",), Component(f"{SOLVERS}.knn", {"neighbours": 5}), encoder=("backbone", "botleneck")),
        "uses botleneck: no such name. Did you mean bottleneck",
    ),
    "what is copied": (_fit(TERM, copies={"old": "backbones"}), "uses backbones: no such name. Did you mean backbone"),
}


@pytest.mark.parametrize("case", MISNAMED)
def test_a_name_that_is_not_there_is_refused_before_the_source_is_fitted(
    case: str, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, reason = MISNAMED[case]
    run = tiny_run("strategy=source_only")
    _with(monkeypatch, stage)
    with pytest.raises(Refusal, match=f"^strategy=source_only: stage later .*{re.escape(reason)}") as refusal:
        _ask(run)
    assert "\n" not in str(refusal.value)


def test_the_command_says_it_before_anything_is_trained(
    train_tiny: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with(monkeypatch, MISNAMED["a solver"][0])
    said = train_tiny("-m", "strategy=scratch,source_only")
    assert said.code == 2
    assert "stage later names transferlab.solvers.classifiers.logistics" in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["strategy=soup", "strategy.recipe=greedy"], "recipe=greedy holds labels out, so it needs two of a class"),
        (["strategy=feature_extraction", "strategy.head=lda"], "head=lda needs two labels of every class"),
    ],
)
def test_too_few_labels_for_a_strategy_are_refused_before_training(
    arguments: list[str], reason: str, train_tiny: Callable[..., Said], tmp_path: Path
) -> None:
    said = train_tiny(*arguments, "target_labels_per_class=1")
    assert said.code == 2
    assert said.err == f"transferlab: {arguments[0]}: {reason}, but target_labels_per_class=1\n"
    assert not list(tmp_path.iterdir())
    strategy = rows_of(*arguments)[0].config.strategy()
    assert strategy.lacks([2, 2]) is None


def test_a_refusal_inside_a_run_is_shown_as_its_text(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_arguments: object) -> None:
        raise Refusal("strategy.x=1: expected 2")

    monkeypatch.setattr("transferlab.experiment.execution.train", refuse)
    said = train_tiny("strategy=source_only", "baselines=[]")
    assert said.code == 1
    assert "failed: source_only seed 0: strategy.x=1: expected 2; the traceback" in said.err
    (state,) = tmp_path.glob("runs/**/state.json")
    assert '"error": "strategy.x=1: expected 2"' in state.read_text()
    assert in_words(KeyError("x")) == "KeyError('x')"


def test_more_threads_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    assert crowded(4, 1) is crowded(1, 4) is crowded(2, 2) is None
    assert crowded(500, 1) == (
        "threads=500, and this process may use 4 cores: done as asked, for threads are part of what a run is, "
        "but much slower than threads=4"
    )
    assert "threads=3 in each of 2 processes side by side, and this process may use 4 cores" in (crowded(3, 2) or "")
    for text, count in (("150000 100000", 2), ("max 100000", 4), ("1000000 100000", 4), ("50000 100000", 1)):
        preflight.QUOTA.write_text(text)
        assert cores() == count
    assert "this process may use 1 core:" in (crowded(2, 1) or "")


def test_the_warning_comes_before_the_training(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "cores", lambda: 1)
    said = train_tiny("strategy=source_only", "baselines=[]", "threads=2")
    assert said.code == 0, said.err
    *_, announced, warning = said.err.splitlines()
    assert "training 1 run: " in announced
    assert warning.startswith("transferlab: threads=2, and this process may use 1 core: done as asked")


NUMBERS = RegressionConfig(loss="huber", huber_delta=1.0, gradient_clip=1.0)


def _with_each_choice(config: TrainConfig) -> Iterator[TrainConfig]:
    """The config with every value of every option of its strategy that has a list of them."""
    accepted = options_of(config.strategy.target, "")
    for name, option in accepted.items():
        for value in get_args(option.type) if get_origin(option.type) is Literal else ():
            changed = replace(config.strategy, options={**config.strategy.options, name: value})
            yield replace(config, strategy=changed)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_choice_of_every_option_names_what_is_there(strategy: str) -> None:
    config = rows_of(f"strategy={strategy}", *TOLD.get(strategy, []), "baselines=[]")[0].config
    for changed in (config, *_with_each_choice(config)):
        try:
            changed.strategy().stages(changed.loss)
        except Refusal:  # two options that exclude each other
            continue
        except AssertionError:  # a loss that composition asks for
            continue
        refuse_misnamed(changed)
        for stage in changed.strategy().stages(changed.loss):
            for component in components_of(for_numbers(stage, NUMBERS)):
                assert component.target.startswith("torch.") or options_of(component.target, "") is not None
