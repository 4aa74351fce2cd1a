"""Each strategy on real digits: what its stages read and move, and that it reads no label it shouldn't."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from transferlab.config.search_path import config_root
from transferlab.domains import splits
from transferlab.domains.draws import test_mask
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.execution import train as train_stages
from transferlab.experiment.run import Run
from transferlab.models.network import Modules
from transferlab.stages import Candidates, Estimate, Fit, Solve, Stage
from transferlab.training.devices import configure_process
from transferlab.training.journal import Journal
from transferlab.training.streams import as_tensor, in_chunks

RunOf = Callable[..., Run]

NEEDS = {"adapt": ["loss=ddc"], "transitive": ["bridge=mnist5k"]}
"""What a strategy can't be run without, by name."""

SHIPPED = [
    (f"strategy={path.stem}", *NEEDS.get(path.stem, []))
    for path in sorted((config_root() / "strategy").glob("*.yaml"))
    if path.stem != "target_oracle"  # it reads every label; test_the_oracle_reads_every_training_label
]

EVERY_STRATEGY = [
    *SHIPPED,
    ("strategy=finetune", "strategy.train=head"),
    ("strategy=finetune", "strategy.train=last_n", "strategy.head=new"),
    ("strategy=feature_extraction", "strategy.head=logistic"),
    ("strategy=dan", "loss.estimator=linear"),
    ("strategy=deep_coral", "strategy.use_target_labels=true"),
    ("strategy=cdan", "loss.entropy=true", "loss.project_above=100"),
    ("strategy=joint", "strategy.keep_fraction=0.5"),
    ("strategy=importance_weighting", "strategy.estimator=kmm"),
    ("strategy=importance_weighting", "strategy.estimator=kliep"),
    ("strategy=clustering", "strategy.algorithm=ward"),
    ("strategy=tent", "strategy.transductive=true"),
    ("strategy=distillation", "strategy.mode=transfer_set", "strategy.teachers=2"),
    (
        "strategy=distillation",
        "strategy.mode=transfer_set",
        "strategy.shift=0.125",
        "strategy.hint_weight=1",
        "strategy.relation=rkd",
    ),
    ("strategy=multitask", "strategy.weighting=uncertainty"),
    ("strategy=multitask", "strategy.weighting=pcgrad"),
    ("strategy=domain_bias", "strategy.scaled=true", "strategy.target_deviation=0.1"),
    ("strategy=secondary_model", "strategy.train=sequential"),
    ("strategy=feature_extraction", "strategy.layers=[block1,block2]", "strategy.head=svm_rbf"),
    ("strategy=deep_common_model", "strategy.join=lateral"),
    ("strategy=shallow", "strategy.method=tca"),
    ("strategy=shallow", "strategy.method=ot_mapping", "strategy.classifier=svm_rbf"),
    ("strategy=shallow", "strategy.method=adaptive_svm", "strategy.classifier=kernel_logistic"),
    ("strategy=tradaboost", "strategy.base=tree"),
    ("strategy=transitive", "bridge=mnist5k", "strategy.hop=self_training"),
    ("strategy=transitive", "bridge=mnist5k", "strategy.hop=adapt", "loss=mmd"),
    ("strategy=feature_sharing", "strategy.shared=slow", "strategy.projection=true"),
]

SMOKE = [("strategy=source_only",), ("strategy=finetune",), ("strategy=dann",), ("strategy=shot",)]

every_strategy = pytest.mark.parametrize(
    "arguments",
    [pytest.param(job, marks=[pytest.mark.smoke] if job in SMOKE else [], id=" ".join(job)) for job in EVERY_STRATEGY],
)


def _weights(run: Run) -> dict[str, torch.Tensor]:
    run_experiment(run, "test")
    return load_file(run.folder / "model.safetensors")


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def _budget(run: Run) -> NDArray[np.int64]:
    """Where the run's labelled target examples stand in the domain."""
    target = run.task.target
    train = np.flatnonzero(~test_mask(target))
    return splits.labelled_part(train, target.labels, run.budget, run.seed)


def _poisoned(run: Run, keep: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run with every target label changed but those at ``keep``; the splits, which go by class, pinned."""
    target = run.task.target
    labels = (target.labels + 1) % 10
    labels[keep] = target.labels[keep]
    monkeypatch.setattr(splits, "labelled_part", lambda *_: keep)
    return replace(run, task=replace(run.task, target=replace(target, labels=labels, test=test_mask(target))))


@every_strategy
def test_a_seed_fixes_everything_and_hidden_target_labels_change_nothing(
    arguments: tuple[str, ...], tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Honesty rules 1 and 5: what decides the bytes of weights and metrics is the seed, and no hidden label does.

    The same run again gives the same, and so it does with every target label beyond the budget poisoned, test labels
    too; another seed gives others.
    """
    run = tiny_run(*arguments)
    metrics = json.dumps(run_experiment(run, "test")["metrics"])
    weights = load_file(run.folder / "model.safetensors")
    assert json.dumps(run_experiment(run, "test")["metrics"]) == metrics
    assert _equal(load_file(run.folder / "model.safetensors"), weights)
    assert not _equal(_weights(replace(run, seed=1)), weights)
    assert _equal(_weights(_poisoned(run, _budget(run), monkeypatch)), weights)


def test_labels_within_the_budget_do_count(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=finetune")
    monkeypatch_free = _weights(run)
    poisoned = _poisoned(run, _budget(run), monkeypatch)
    labels = (poisoned.task.target.labels + 1) % 10
    changed = replace(poisoned, task=replace(poisoned.task, target=replace(poisoned.task.target, labels=labels)))
    assert not _equal(monkeypatch_free, _weights(changed))


def test_the_oracle_reads_every_training_label(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=target_oracle")
    assert run.budget == "all"
    assert len(_budget(run)) == (~test_mask(run.task.target)).sum()


@pytest.mark.parametrize(
    ("arguments", "reads"),
    [
        (("strategy=scratch",), {"target_labelled"}),
        (("strategy=source_only",), {"source"}),
        (("strategy=joint",), {"source", "target_labelled"}),
        (("strategy=finetune",), {"source", "target_labelled"}),
        (("strategy=feature_extraction",), {"source", "target_labelled"}),
        (("strategy=dan",), {"source", "target_unlabelled"}),
        (("strategy=dan", "strategy.use_target_labels=true"), {"source", "target_unlabelled", "target_labelled"}),
        (("strategy=adda",), {"source", "target_unlabelled"}),
        (("strategy=adabn",), {"source", "target_unlabelled"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",  # a set has no order of its own
)
def test_what_a_strategy_reads_is_what_it_says(arguments: tuple[str, ...], reads: set[str], tiny_run: RunOf) -> None:
    run = tiny_run(*arguments)
    assert run.strategy.reads(run.config.loss) == reads


def _stages(run: Run, monkeypatch: pytest.MonkeyPatch, kept: int | None = None) -> Modules:
    """The modules after the run's first ``kept`` stages."""
    stages: list[Stage] = list(run.strategy.stages(run.config.loss))
    monkeypatch.setattr(type(run.strategy), "stages", lambda _self, _loss: stages[:kept])
    training, _ = run.examples()
    journal = Journal("test", lambda: None, quiet=True)
    modules = train_stages(run, configure_process(run.config), training, journal)[-1].modules
    monkeypatch.undo()
    return modules


def _module_weights(modules: Modules, *names: str) -> list[torch.Tensor]:
    return [value for name in names for value in modules[name].state_dict().values()]


def test_addas_source_encoder_and_head_stay_and_its_target_encoder_moves(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run("strategy=adda", "strategy.discriminator_width=8")
    before, after = _stages(run, monkeypatch, 1), _stages(run, monkeypatch)
    source_encoder = _module_weights(before, "backbone", "bottleneck")
    for then, now in zip(source_encoder, _module_weights(after, "source_backbone", "source_bottleneck"), strict=True):
        assert torch.equal(then, now)
    for then, now in zip(_module_weights(before, "head"), _module_weights(after, "head"), strict=True):
        assert torch.equal(then, now)
    moved = zip(source_encoder, _module_weights(after, "backbone", "bottleneck"), strict=True)
    assert not all(torch.equal(then, now) for then, now in moved)


def test_addas_discriminator_sees_both_domains_in_one_pass(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says of each what it says of it alone; a classifier of another class sees each by itself."""
    passes: list[int] = []
    forward = torch.nn.Sequential.forward

    def counted(self: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        passes.append(len(x))
        return forward(self, x)  # type: ignore[arg-type]

    monkeypatch.setattr("transferlab.losses.adversarial.Discriminator.forward", counted)
    run = tiny_run("strategy=adda", "strategy.discriminator_width=8", "steps=2")
    training, _ = run.examples()
    train_stages(run, configure_process(run.config), training, Journal("", lambda: None, quiet=True))
    assert passes == [32, 16] * 2


def test_addas_discriminator_calls_the_source_1_as_its_encoder_wants_to_be_called(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the encoder held: it comes to say more on source examples than on the target's."""
    options = ("strategy.discriminator_width=8", "strategy.encoder_lr_scale=0", "steps=100", "optimizer.lr=0.3")
    run = tiny_run("strategy=adda", *options)
    after = _stages(run, monkeypatch)
    training, _ = run.examples()
    network = nn.Sequential(*(after[name] for name in ("backbone", "bottleneck", "discriminator"))).eval()
    source, target = (
        in_chunks(network, as_tensor(part.inputs, "cpu")).mean()
        for part in (training.source, training.target_unlabelled)
    )
    assert source > target + 0.1


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        (("strategy=adapt", "loss=mmd", "loss.weight=0.25"), [1, 0.25]),
        (("strategy=adapt", "loss=mmd", "strategy.use_target_labels=true"), [1, 1, 1]),
        (("strategy=deep_coral",), [1, 300]),
        (("strategy=afn",), [1, 0.05]),
        (("strategy=entropy",), [1, 0.1]),
        (("strategy=shot",), [1, 0.3]),
    ],
)
def test_terms_weigh_what_they_should(arguments: tuple[str, ...], weights: list[float], tiny_run: RunOf) -> None:
    run = tiny_run(*arguments)
    last = run.strategy.stages(run.config.loss)[-1]
    assert isinstance(last, Fit)
    assert [term.weight for term in last.phases[0].terms] == weights


def test_shots_source_fit_smooths_its_labels(tiny_run: RunOf) -> None:
    first = tiny_run("strategy=shot").strategy.stages(None)[0]
    assert isinstance(first, Fit)
    assert first.phases[0].terms[0].loss.options == {"smoothing": 0.1}


def test_adabn_changes_statistics_and_no_weight(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=adabn")
    before, after = _stages(run, monkeypatch, 1), _stages(run, monkeypatch)
    for name in ("backbone", "bottleneck", "head"):
        for key, value in before[name].state_dict().items():
            same = torch.equal(value, after[name].state_dict()[key])
            assert same == (not key.endswith(("running_mean", "running_var"))), f"{name}.{key}"


@pytest.mark.parametrize(("mode", "frozen"), [("head", ("backbone", "bottleneck")), ("last_n", ("backbone",))])
def test_what_finetuning_freezes_is_bit_identical(
    mode: str, frozen: tuple[str, ...], tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run("strategy=finetune", f"strategy.train={mode}")
    before, after = _stages(run, monkeypatch, 1), _stages(run, monkeypatch)
    for then, now in zip(_module_weights(before, *frozen), _module_weights(after, *frozen), strict=True):
        assert torch.equal(then, now)
    assert not torch.equal(before["head"].state_dict()["weight"], after["head"].state_dict()["weight"])


def test_logistic_features_are_those_of_the_frozen_network(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run("strategy=feature_extraction", "strategy.head=logistic", "steps=30")
    before, after = _stages(run, monkeypatch, 1), _stages(run, monkeypatch)
    training, test = run.examples()
    encoder = torch.nn.Sequential(before["backbone"], before["bottleneck"]).eval()

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return in_chunks(encoder, as_tensor(images, "cpu")).numpy()

    labelled = training.target_labelled
    theirs = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-6).fit(features(labelled.inputs), labelled.labels)
    whole = torch.nn.Sequential(encoder, after["head"]).eval()
    ours = in_chunks(whole, as_tensor(test.inputs, "cpu")).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(features(test.inputs)), atol=1e-3)


def test_joint_weighs_the_target(tiny_run: RunOf) -> None:
    (stage,) = tiny_run("strategy=joint", "strategy.weight=0.25").strategy.stages(None)
    assert isinstance(stage, Fit)
    assert [(term.reads[0].stream, term.weight) for term in stage.phases[0].terms] == [
        ("source", 1.0),
        ("target_labelled", 0.25),
    ]


def test_every_kind_of_stage_is_in_use(tiny_run: RunOf) -> None:
    kinds = {
        type(stage)
        for arguments in EVERY_STRATEGY
        for run in [tiny_run(*arguments)]
        for stage in run.strategy.stages(run.config.loss)
    }
    assert kinds == {Fit, Estimate, Solve, Candidates}
