"""What our composer gives is what Hydra gives: for every option of every group, for values, and in sweeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from transferlab.config.composer import Composed, Composer
from transferlab.config.hydra_loader import Loader
from transferlab.config.jobs import compose_train
from transferlab.errors import Refusal

COMPOSER = Composer("train", None)
OPTIONS = [f"{group}={name}" for group, names in COMPOSER.groups().items() for name in names]


def same(composer: Composer, overrides: Sequence[str]) -> Composed:
    """The config composed without Hydra's settings, once it was held against the one composed with them."""
    quick = composer._quickly(overrides, partial=False)
    whole = composer._with_hydras_settings(overrides, partial=False, number=0)
    assert quick is not None
    assert OmegaConf.to_container(quick.config) == OmegaConf.to_container(whole.config)
    assert list(quick.config) == list(whole.config)
    assert {group: name for group, name in whole.choices.items() if not group.startswith("hydra")} == quick.choices
    return quick


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_every_group(option: str) -> None:
    same(COMPOSER, [option])


@pytest.mark.parametrize(
    "values",
    [
        ["steps=7", "source.crop=28", "image.channels=3", "seeds=[0,3]"],
        ["experiment=quickstart", "strategy=dan", "loss.weight=0.5", "optimizer.lr=auto"],
        ["strategy=soup", "backbone=torchvision", "backbone.weights=null", "+source.new=1", "++steps=9"],
        ["backbone@strategy.teacher=mlp", "strategy=distillation"],
        ["source=multi", "source.domains=[mnist5k,digits]", "++source.digits.x={a: [1, b]}"],
        ["~source.crop", "backbone@strategy.teacher=mlp", "strategy=distillation", "~strategy.teacher.widths"],
        ["output_root=${now:%H}/${oc.env:HOME}", "steps=${seeds}"],
    ],
)
def test_every_kind_of_override(values: list[str]) -> None:
    same(COMPOSER, values)


def test_what_hydra_refuses_is_refused_in_its_words() -> None:
    with pytest.raises(Refusal, match="Could not delete from config"):
        COMPOSER.compose(["~source.nothing"])


def configs_of(folder: Path, experiment: str) -> list[str]:
    """A folder of the user's with one experiment in it, as flags and overrides."""
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{experiment}\n")
    return ["--config-dir", str(folder), "experiment=mine"]


def test_an_experiment_of_ones_own(tmp_path: Path) -> None:
    configs_of(tmp_path, "defaults:\n  - override /strategy: dan\n  - override /backbone: mlp\nsteps: 9")
    quick = same(Composer("train", tmp_path), ["experiment=mine", "loss.weight=2"])
    assert quick.config.steps == 9
    assert quick.choices["backbone"] == "mlp"


def test_an_experiment_that_sweeps_is_composed_with_hydras_settings_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    load = Loader.load_configuration
    monkeypatch.setattr(Loader, "load_configuration", lambda *given: (loaded.append(given), load(*given))[1])
    params = "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      strategy: dan,dann\n      steps: range(1,21)"
    jobs = compose_train(configs_of(tmp_path, params))
    assert [(job[0].config.strategy.name, job[0].config.steps) for job in jobs] == [
        (name, steps) for name in ("dan", "dann") for steps in range(1, 21)
    ]
    assert len(loaded) == 3  # for the whole command, and for each strategy


def test_a_sweep_composes_each_choice_of_groups_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    composed: list[list[str]] = []
    compose = Loader.without_hydras_settings

    def counted(self: Loader, root: str, overrides: list[str], *, partial: bool) -> object:
        composed.append(overrides)
        return compose(self, root, overrides, partial=partial)

    monkeypatch.setattr(Loader, "without_hydras_settings", counted)
    jobs = compose_train(["--config-dir", str(tmp_path), "-m", "strategy=dann,dan", "loss.weight=1,2,3,4,5", "seeds=3"])
    assert len(jobs) == 10
    strategies = ["strategy=dann", "strategy=dan", "strategy=scratch", "strategy=source_only"]
    assert sorted(composed) == sorted([[], *([name] for name in strategies)])


def test_what_hydra_says_of_a_job_can_stand_in_a_value() -> None:
    roots = [job[0].config.output_root for job in compose_train(["-m", "seeds=1,2", "output_root=job${hydra:job.num}"])]
    assert roots == ["job0", "job1"]


def test_now_is_one_moment_for_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr(time, "localtime", lambda: time.gmtime(next(moments)))
    jobs = compose_train(["-m", "strategy=dan,dann", "output_root='out${now:%S}'"])
    assert {job[0].config.output_root for job in jobs} == {"out00"}


def test_a_thousand_jobs_take_a_few_seconds() -> None:
    began = time.perf_counter()
    assert len(compose_train(["-m", "strategy=dann", "loss.weight=range(1,101)", "steps=range(1,11)"])) == 1000
    assert time.perf_counter() - began < 60  # 8 s on two cores
