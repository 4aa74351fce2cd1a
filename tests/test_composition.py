from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said, contenders

from transferlab.composition import compose_train
from transferlab.schema import TrainConfig


def test_a_job_is_its_strategy_followed_by_its_baselines() -> None:
    rows = contenders("strategy=dann", "steps=7")
    assert [row.config.strategy.name for row in rows] == ["dann", "scratch", "source_only"]
    assert {row.config.steps for row in rows} == {7}
    assert [row.config.loss and row.config.loss.name for row in rows] == ["dann", None, None]


def test_a_baseline_is_not_its_own_baseline() -> None:
    assert [row.config.strategy.name for row in contenders("strategy=scratch")] == ["scratch", "source_only"]
    assert [row.config.strategy.name for row in contenders("baselines=[]")] == ["dann"]


def test_the_variant_says_what_differs_from_the_defaults() -> None:
    assert contenders("strategy=finetune")[0].variant == ""
    assert contenders("strategy=finetune", "strategy.train=head")[0].variant == "train=head"
    row = contenders("strategy=dan", "loss.weight=0.5", "strategy.use_target_labels=true")[0]
    assert row.variant == "loss.weight=0.5, use_target_labels=true"
    assert [row.variant for row in contenders("strategy=finetune", "strategy.train=head")[1:]] == ["", ""]


def test_a_preset_is_the_general_form_with_its_loss() -> None:
    preset, general = contenders("strategy=dan")[0].config, contenders("strategy=adapt", "loss=mmd")[0].config
    assert preset.loss == general.loss
    assert preset.strategy.options == general.strategy.options


def test_a_sweep_composes_every_combination() -> None:
    jobs = compose_train(["-m", "strategy=finetune,dan", "source=mnist5k,rendered_digits"])
    names = [(job[0].config.strategy.name, job[0].config.source.name) for job in jobs]
    assert len(jobs) == 4
    assert len(set(names)) == 4


def test_quickstart_needs_no_flag() -> None:
    jobs = compose_train(["experiment=quickstart"])
    assert [job[0].config.strategy.name for job in jobs] == [
        *("scratch", "source_only", "finetune", "dann", "dan", "deep_coral")
    ]
    assert {job[0].config.seeds for job in jobs} == {5}


def test_flags_may_stand_anywhere() -> None:
    assert len(compose_train(["seeds=1", "-m", "strategy=dan,dann"])) == 2


def test_the_default_experiment() -> None:
    config: TrainConfig = contenders()[0].config
    assert (config.source.name, config.target.name, config.backbone.name) == ("mnist5k", "digits", "lenet")
    assert (config.image.size, config.target_labels_per_class, config.seed_list) == (16, 3, [0, 1, 2, 3, 4])


def test_domains_of_your_own_serve_both_roles(
    transferlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stripes.py").write_text(
        "import numpy as np\nfrom transferlab.domains.domain import Domain\n\n"
        "def stripes(*, examples: int) -> Domain:\n"
        "    labels = np.arange(examples) % 2\n"
        "    images = np.zeros((examples, 8, 8, 1), np.uint8)\n"
        "    images[labels == 0, ::2] = 255\n"
        "    images[labels == 1, :, ::2] = 255\n"
        "    return Domain(images, labels, ('across', 'down'))\n"
    )
    (tmp_path / "configs" / "domain").mkdir(parents=True)
    (tmp_path / "configs" / "domain" / "stripes.yaml").write_text(
        "_target_: stripes.stripes\nname: stripes\nexamples: 100\n"
    )
    monkeypatch.chdir(tmp_path)
    job = ["--config-dir", "configs", "source=stripes", "target=stripes", "allow_packages=[stripes]"]
    small = ["image.size=8", "seeds=1", "steps=20", "batch_size=8", "strategy=source_only", "baselines=[]"]
    said = transferlab("train", *job, *small)
    assert said.code == 0, said.err
    assert "stripes → stripes" in said.out
    assert "100.0" in said.out
    said = transferlab("train", *job, *small, "source.exmples=3")
    assert said.code == 2
    assert "source.exmples" in said.err
    assert "Did you mean examples" in said.err


@pytest.mark.parametrize(
    ("line", "choices"),
    [
        ("transferlab ", {"train", "compare"}),
        ("transferlab train strategy=da", {"strategy=dan", "strategy=dann"}),
        ("transferlab train target=mnist5k", {"target=mnist5k", "target=mnist5k_m"}),
        ("transferlab train optimizer.mom", {"optimizer.momentum="}),
    ],
)
def test_shell_completion(
    line: str, choices: set[str], transferlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    said = transferlab("-sc", "query=bash")
    assert set(said.out.split()) == choices


def test_completion_script_names_the_program(transferlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/transferlab"])
    assert transferlab("-sc", "install=bash").out.rstrip().endswith("hydra_bash_completion transferlab")
