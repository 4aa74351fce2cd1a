from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said, rows_of

from transferlab.config.jobs import compose_train
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal

pytestmark = pytest.mark.smoke


def test_a_job_is_its_strategy_followed_by_its_baselines() -> None:
    rows = rows_of("strategy=dann", "steps=7")
    assert [row.config.strategy.name for row in rows] == ["dann", "scratch", "source_only"]
    assert {row.config.steps for row in rows} == {7}
    assert [row.config.loss and row.config.loss.name for row in rows] == ["dann", None, None]


def test_a_baseline_is_not_its_own_baseline() -> None:
    assert [row.config.strategy.name for row in rows_of("strategy=scratch")] == ["scratch", "source_only"]
    assert [row.config.strategy.name for row in rows_of("baselines=[]")] == ["dann"]


def test_the_variant_says_what_differs_from_the_defaults() -> None:
    assert rows_of("strategy=finetune")[0].variant == ""
    assert rows_of("strategy=finetune", "strategy.train=head")[0].variant == "train=head"
    row = rows_of("strategy=dan", "loss.weight=0.5", "strategy.use_target_labels=true")[0]
    assert row.variant == "loss.weight=0.5, use_target_labels=true"
    assert [row.variant for row in rows_of("strategy=finetune", "strategy.train=head")[1:]] == ["", ""]


TRANSITIVE = ["strategy=transitive", "source=rendered_digits"]


def test_a_bridge_stands_in_the_variant_and_belongs_to_the_strategy_alone() -> None:
    rows = rows_of(*TRANSITIVE, "bridge=mnist5k", "bridge.mnist5k.crop=28", "strategy.hop=self_training")
    assert rows[0].variant == "bridge=mnist5k, bridge.mnist5k.crop=28, hop=self_training"
    assert [one.name for one in rows[0].config.bridge.path or ()] == ["mnist5k"]
    assert [row.config.bridge.path for row in rows[1:]] == [(), ()]
    assert [row.variant for row in rows[1:]] == ["", ""]
    assert {row.setting for row in rows} == {""}


def test_a_bridge_is_the_same_however_it_is_spelt() -> None:
    one, other = (rows_of(*TRANSITIVE, spelling)[0] for spelling in ("bridge=mnist5k", "bridge.path=[mnist5k]"))
    assert one.config == other.config
    assert one.variant == other.variant == "bridge=mnist5k"
    several = rows_of(*TRANSITIVE, "bridge.path=[mnist5k_m,mnist5k]")[0]
    assert several.variant == "bridge.path=[mnist5k_m,mnist5k]"
    assert several.config.strategy.options["bridges"] == 2


def test_a_pool_leaves_the_path_open_until_it_is_chosen() -> None:
    row = rows_of(*TRANSITIVE, "bridge=auto", "bridge.pool=[mnist5k,mnist5k_m]", "bridge.mnist5k.crop=28")[0]
    bridge = row.config.bridge
    assert bridge.path is None
    assert [one.options for one in bridge.pool] == [{"crop": 28}, {"crop": 20, "seed": 0}]
    assert row.variant == "bridge=auto"
    assert row.with_bridges(bridge.pool[1:]).variant == "bridge=mnist5k_m"
    assert row.with_bridges(bridge.pool[:1]).variant == "bridge=mnist5k, bridge.mnist5k.crop=28"
    assert row.with_bridges(()).variant == "bridge=none"
    assert row.with_bridges(bridge.pool).config.strategy.options["bridges"] == 2


def test_a_baseline_that_crosses_bridges_crosses_the_jobs() -> None:
    rows = rows_of("strategy=transitive", "strategy.hop=self_training", "bridge=mnist5k", "baselines=[transitive]")
    assert [row.variant for row in rows] == ["bridge=mnist5k, hop=self_training", "bridge=mnist5k"]


def test_bridges_and_sources_are_swept() -> None:
    jobs = compose_train(["-m", *TRANSITIVE, "bridge=mnist5k,mnist5k_m"])
    assert [job[0].variant for job in jobs] == ["bridge=mnist5k", "bridge=mnist5k_m"]
    jobs = compose_train(["-m", *TRANSITIVE, "bridge.path=[mnist5k],[mnist5k_m,mnist5k]"])
    assert [job[0].variant for job in jobs] == ["bridge=mnist5k", "bridge.path=[mnist5k_m,mnist5k]"]
    jobs = compose_train(["-m", "source=multi", "source.domains=[mnist5k],[mnist5k,rendered_digits]"])
    assert [job[0].config.source.name for job in jobs] == ["mnist5k", "mnist5k+rendered_digits"]
    options = compose_train(["-m", *TRANSITIVE, "bridge=mnist5k", "bridge.mnist5k.crop=20,28"])
    assert [job[0].variant for job in options] == ["bridge=mnist5k", "bridge=mnist5k, bridge.mnist5k.crop=28"]


def test_several_sources_are_named_after_their_data_sets() -> None:
    row = rows_of("source=multi", "source.domains=[rendered_digits,mnist5k]", "source.rendered_digits.examples=9")[0]
    assert row.config.source.name == "rendered_digits+mnist5k"
    assert [one.name for one in row.config.source.domains] == ["rendered_digits", "mnist5k"]
    assert [one.options.get("examples") for one in row.config.source.domains] == [9, None]
    assert (row.variant, row.setting) == ("", "source.rendered_digits.examples=9")
    named = rows_of("source=multi", "source.domains=[rendered_digits,mnist5k]", "source.name=all")[0]
    assert named.config.source.name == "all"


def test_domains_of_your_own_serve_as_one_of_several_and_as_bridges(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "whole.yaml").write_text("_target_: transferlab.domains.mnist5k.mnist5k\ncrop: 28\n")
    own = ["--config-dir", str(tmp_path)]
    row = rows_of(*own, "source=multi", "source.domains=[mnist5k,whole]")[0]
    assert row.config.source.name == "mnist5k+whole"
    assert [one.options for one in row.config.source.domains] == [{"crop": 20}, {"crop": 28}]
    row = rows_of(*own, *TRANSITIVE, "bridge.path=[whole,mnist5k]", "bridge.whole.crop=24")[0]
    assert row.variant == "bridge.path=[whole,mnist5k], bridge.whole.crop=24"
    assert [one.options for one in row.config.bridge.path or ()] == [{"crop": 24}, {"crop": 20}]
    assert rows_of(*own, *TRANSITIVE, "bridge=whole")[0].variant == "bridge=whole"


def test_an_experiment_may_name_several_domains_and_their_options(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "far.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /strategy: transitive\n  - override /source: multi\n  - _self_\n"
        "source: {domains: [rendered_digits, mnist5k_m], rendered_digits: {examples: 50}}\n"
        "bridge: {path: [mnist5k], mnist5k: {crop: 24}}\n"
    )
    row = rows_of("--config-dir", str(tmp_path), "experiment=far", "source.mnist5k_m.crop=28")[0]
    assert [one.options.get("examples") for one in row.config.source.domains] == [50, None]
    assert [one.options.get("crop") for one in row.config.source.domains] == [None, 28]
    assert row.variant == "bridge=mnist5k, bridge.mnist5k.crop=24"


def test_a_data_set_called_like_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "auto.yaml").write_text("_target_: transferlab.domains.digits.digits\n")
    with pytest.raises(Refusal, match=r"auto\.yaml: a data set can't be called auto"):
        rows_of("--config-dir", str(tmp_path))


def test_a_preset_is_the_general_form_with_its_loss() -> None:
    preset, general = rows_of("strategy=dan")[0].config, rows_of("strategy=adapt", "loss=mmd")[0].config
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
    config: TrainConfig = rows_of()[0].config
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
        ("transferlab ", {"train", "data", "compare", "methods"}),
        ("transferlab train strategy=da", {"strategy=dan", "strategy=dann", "strategy=dare_gram"}),
        ("transferlab train target=mnist5k", {"target=mnist5k", "target=mnist5k_m"}),
        ("transferlab data target=mnist5k", {"target=mnist5k", "target=mnist5k_m"}),
        ("transferlab train optimizer=sgd optimizer.mom", {"optimizer.momentum="}),
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
