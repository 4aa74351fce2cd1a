"""SHOT: its losses, its head, and that the source is gone once the first stage is done."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import TINY, Said, results
from safetensors.torch import load_file
from staged import changed, modules_after
from torch import nn
from torch.nn.functional import cross_entropy

from transferlab.domains.digits import digits
from transferlab.errors import Refusal
from transferlab.estimates import pseudo_labels
from transferlab.experiment import execution as experiment
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.losses.classification import CrossEntropy, PseudoLabelCrossEntropy, SmoothedCrossEntropy
from transferlab.losses.output import Output
from transferlab.losses.prediction import information_maximization
from transferlab.losses.target_alone import TargetInformation
from transferlab.models.heads import weight_normed_head
from transferlab.models.network import Head
from transferlab.stages import Fit
from transferlab.strategies.shot import SHOT

RunOf = Callable[..., Run]

ZERO = torch.zeros(())


@pytest.fixture
def output() -> Output:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 5, generator=random, dtype=torch.float64)
    labels = torch.arange(9) % 5
    return Output(logits[:, :3], logits, labels, estimates={"pseudo_label": labels.roll(1)})


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothed_cross_entropy_is_its_definition(smoothing: float, output: Output) -> None:
    assert output.labels is not None
    slow = 0.0
    for z, y in zip(output.logits.numpy(), output.labels.tolist(), strict=True):
        log_p = z - math.log(np.exp(z).sum())
        slow -= sum(((1 - smoothing) * (c == y) + smoothing / 5) * log_p[c] for c in range(5)) / 9
    assert SmoothedCrossEntropy(3, 5, smoothing=smoothing)(output, progress=ZERO).item() == pytest.approx(slow)


def test_without_smoothing_it_is_plain_cross_entropy(output: Output) -> None:
    plain = CrossEntropy(3, 5)(output, progress=ZERO)
    assert torch.equal(SmoothedCrossEntropy(3, 5, smoothing=0.0)(output, progress=ZERO), plain)
    assert torch.equal(plain, cross_entropy(output.logits, output.labels))


def test_what_the_second_stage_minimises_reads_no_label(output: Output) -> None:
    unlabelled = Output(output.features, output.logits, None, estimates=output.estimates)
    assert torch.equal(TargetInformation(3, 5)(unlabelled, progress=ZERO), information_maximization(output.logits))
    expected = -output.logits.log_softmax(1)[torch.arange(9), (torch.arange(9) % 5).roll(1)].mean()
    torch.testing.assert_close(PseudoLabelCrossEntropy(3, 5)(unlabelled, progress=ZERO), expected)


def test_the_weight_normalised_head_begins_as_a_head_and_has_lengths_of_its_own() -> None:
    torch.manual_seed(0)
    plain = Head(6, 4)
    torch.manual_seed(0)
    normed: nn.Module = weight_normed_head(features=6, classes=4)
    features = torch.randn(5, 6)
    torch.testing.assert_close(normed(features), plain(features))
    assert sorted(tuple(parameter.shape) for parameter in normed.parameters()) == [(4,), (4, 1), (4, 6)]
    with torch.no_grad():
        for parameter in normed.parameters():
            if parameter.shape == (4, 6):
                parameter.mul_(3)  # v: its length doesn't count
    torch.testing.assert_close(normed(features), plain(features))
    with torch.no_grad():
        for parameter in normed.parameters():
            if parameter.shape == (4, 1):
                parameter.mul_(3)
    torch.testing.assert_close(normed(features) - plain.bias, 3 * (plain(features) - plain.bias))


def test_a_copy_of_the_head_is_its_own() -> None:
    head = weight_normed_head(features=6, classes=4)
    features = torch.randn(5, 6)
    head(features).sum().backward()
    twin = copy.deepcopy(head)
    assert torch.equal(twin(features), head(features))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert not torch.allclose(twin(features), head(features))


def test_the_file_of_weights_gives_the_head_back(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=shot")
    run_experiment(run, "test")
    weights = load_file(run.folder / "model.safetensors")
    head = weight_normed_head(features=16, classes=10)
    head.load_state_dict({key.removeprefix("head."): value for key, value in weights.items() if key.startswith("head")})
    features = torch.randn(3, 16)
    assert torch.equal(head(features), modules_after(run)["head"](features))


def test_the_head_stays_and_the_encoder_moves(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=shot")
    before, after = modules_after(run, 1), modules_after(run)
    assert changed(before, after, "head") == set()
    encoder = {f"{name}.{key}" for name in ("backbone", "bottleneck") for key in before[name].state_dict()}
    assert changed(before, after, "backbone", "bottleneck") == encoder


def test_the_second_stage_has_no_stream_but_the_unlabelled_target(tiny_run: RunOf) -> None:
    source, adaptation = tiny_run("strategy=shot").strategy.stages(None)
    assert source.streams == ("source",)
    assert adaptation.streams == ("target_unlabelled",)


def test_a_source_spoilt_after_the_first_stage_changes_nothing(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stages = tiny_run("strategy=shot"), list[str]()
    honest, fit = modules_after(run), experiment.fit

    def spoiling(stage: Fit, modules: Any, streams: Any, *arguments: Any, **more: Any) -> Any:
        done = fit(stage, modules, streams, *arguments, **more)
        stages.append(stage.name)
        if stage.name == "source":
            streams["source"].examples.labels.zero_()
            streams["source"].examples.inputs.zero_()
        return done

    monkeypatch.setattr(experiment, "fit", spoiling)
    assert changed(honest, modules_after(run), "backbone", "bottleneck", "head") == set()
    assert stages == ["source", "adapt"]


FROM_A_FILE = """
import numpy as np
from transferlab.domains.domain import Domain

def from_a_file(*, path: str) -> Domain:
    held = np.load(path)
    return Domain(held["images"], held["labels"], tuple("0123456789"))
"""


def test_the_source_s_file_may_be_gone_after_the_first_stage(
    transferlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is deleted, the examples in memory are spoilt, held-out ones too: the same result.json as without."""
    (tmp_path / "domain_from_a_file.py").write_text(FROM_A_FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "domain").mkdir()
    file = tmp_path / "source.npz"
    (tmp_path / "domain" / "mine.yaml").write_text(
        f"_target_: domain_from_a_file.from_a_file\nname: mine\npath: {file}\n"
    )
    domain = digits()
    np.savez(file, images=255 - domain.inputs, labels=domain.labels)
    job = ["--config-dir", str(tmp_path), "allow_packages=[domain_from_a_file]", "source=mine", "baselines=[]"]
    job += ["strategy=shot", *TINY[2:]]
    assert transferlab("train", *job, f"output_root={tmp_path / 'kept'}").code == 0

    perform, train, runs = experiment._perform, experiment.train, list[Run]()

    def noting(run: Run, *arguments: Any) -> Any:
        runs.append(run)
        return train(run, *arguments)

    def and_then_no_source(stage: Any, modules: Any, examples: Any, *arguments: Any) -> Any:
        done = perform(stage, modules, examples, *arguments)
        if stage.name == "source":
            file.unlink()
            examples["source"].inputs.zero_()
            runs[0].task.source.inputs[:] = 0
            runs[0].task.source.labels[:] = 0
        return done

    monkeypatch.setattr(experiment, "train", noting)
    monkeypatch.setattr(experiment, "_perform", and_then_no_source)
    said = transferlab("train", *job, f"output_root={tmp_path / 'gone'}")
    assert said.code == 0, said.err
    assert not file.exists()
    (kept,), (gone,) = (results(tmp_path / name) for name in ("kept", "gone"))
    assert kept["metrics"] == gone["metrics"]
    assert gone["metrics"]["source_accuracy"] is None
    weights = [next((tmp_path / name).glob("runs/**/model.safetensors")).read_bytes() for name in ("kept", "gone")]
    assert weights[0] == weights[1]


def test_pseudo_labels_are_found_anew_every_epoch(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """1258 target images in batches of 512 are three steps an epoch; of six steps the first and fourth begin one."""
    counts, found = list[int](), pseudo_labels.nearest_centroids

    def counted(features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        counts.append(len(features))
        return found(features, probabilities)

    monkeypatch.setattr(pseudo_labels, "nearest_centroids", counted)
    run = tiny_run("strategy=shot", "batch_size=512", "steps=6")
    modules_after(run)
    assert len(counts) == 2
    assert counts[0] == counts[1] > 1024


@pytest.mark.parametrize("option", ["label_smoothing=1.0", "information_weight=-1", "pseudo_label_weight=-0.1"])
def test_odd_options_are_refused(option: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=shot", f"strategy.{option}")
    assert said.code == 2
    assert f"strategy.{option.partition('=')[0]}=" in said.err


def test_refusals_are_refusals() -> None:
    with pytest.raises(Refusal, match="less than 1"):
        SHOT(label_smoothing=1.5, information_weight=1.0, pseudo_label_weight=0.3)
