"""FixMatch, mean teacher and DRCN: what they see, what moves, by how much, and what stays out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from fits import BLUEPRINT, IMAGES, LABELS, run_fit, setup_of
from jobs import TINY, Said, rows_of
from safetensors.torch import load_file
from staged import changed
from torch import Tensor, nn

from transferlab.augmentation import images as augmentation
from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.losses.reconstruction import Reconstruction
from transferlab.models.decoder import Decoder
from transferlab.models.network import Modules, build_network
from transferlab.stages import NETWORK, Fit, Stage
from transferlab.training.fit import fit
from transferlab.training.seeding import seeded
from transferlab.training.streams import Examples, Stream, inputs_of

RunOf = Callable[..., Run]


@cache
def _config(*more: str) -> TrainConfig:
    config = rows_of(*TINY, "device=cpu", "precision=fp32", *more)[0].config
    return replace(config, steps=2, snapshots=2)


def _fit(name: str, **options: Any) -> Fit:
    """The strategy's one stage, with the options changed."""
    strategy = _config(f"strategy={name}").strategy
    stages: list[Stage] = replace(strategy, options={**strategy.options, **options})().stages(None)
    (stage,) = stages
    assert isinstance(stage, Fit)
    return stage


def _after(stage: Fit) -> Modules:
    """A small network after the stage, from the same weights every time."""
    with seeded(0, "network"):
        modules = build_network(BLUEPRINT)
    run_fit(stage, modules, _config())
    return modules


def _seen(stage: Fit, name: str = "backbone") -> list[list[float]]:
    """The distinct pixels of each example that the module was given, step by step."""
    with seeded(0, "network"):
        modules = build_network(BLUEPRINT)
    seen: list[list[float]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if (module is modules["backbone"]) == (name == "backbone"):
            seen.append([one.unique().mean().item() for one in inputs[0]])

    modules["backbone"].register_forward_pre_hook(note)  # a copy has the hook too
    run_fit(stage, modules, _config("batch_statistics=joint"))  # one pass a step
    return seen


def _filled(monkeypatch: pytest.MonkeyPatch, **views: float) -> None:
    """Each named view is an image of one value."""
    for name, value in views.items():
        monkeypatch.setattr(augmentation, name, lambda x, value=value, **_options: torch.full_like(x, value))


@pytest.mark.parametrize("name", ["fixmatch", "mean_teacher", "drcn"])
def test_no_target_label_is_read(name: str) -> None:
    assert set(_fit(name).streams) == {"source", "target_unlabelled"}


def test_fixmatch_sees_labelled_examples_weakly_and_the_target_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(monkeypatch, weak=-0.5, strong=0.5)
    assert _seen(_fit("fixmatch")) == [[-0.5] * 32 + [0.5] * 16] * 2
    assert _seen(_fit("fixmatch", use_target_labels=True)) == [[-0.5] * 48 + [0.5] * 16] * 2


def test_fixmatch_reads_target_labels_where_asked_to() -> None:
    stage = _fit("fixmatch", use_target_labels=True)
    assert set(stage.streams) == {"source", "target_unlabelled", "target_labelled"}


@pytest.mark.parametrize("name", ["fixmatch", "mean_teacher"])
def test_where_nobody_is_confident_the_target_adds_nothing(name: str) -> None:
    """Bit for bit what a weight of 0 gives; without a threshold the target does count."""
    nobody = _after(_fit(name, threshold=1.0))
    assert not changed(nobody, _after(_fit(name, weight=0.0)), *NETWORK)
    assert changed(nobody, _after(_fit(name, threshold=0.0)), *NETWORK)


def test_the_teacher_is_the_average_of_the_students_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps by hand: decay .6 at progress 0, .7 at progress ½; no gradient ever reaches it."""
    with seeded(0, "network"):
        modules = build_network(BLUEPRINT)
    expected = {f"{name}.{key}": value.clone() for name in NETWORK for key, value in modules[name].named_parameters()}
    first, second = run_fit(_fit("mean_teacher", first_decay=0.6, last_decay=0.8), modules, _config())
    for snapshot, decay in ((first, 0.6), (second, 0.7)):
        for name in NETWORK:
            for key, value in snapshot.modules[name].named_parameters():
                mean = expected[f"{name}.{key}"].mul_(decay).add_((1 - decay) * value)
                teacher = snapshot.modules[f"teacher_{name}"].get_parameter(key)
                assert not teacher.requires_grad
                torch.testing.assert_close(teacher, mean, msg=f"{name}.{key}")


def test_the_teachers_statistics_are_those_of_its_own_batches() -> None:
    """With nothing learned and views without strength: a tenth of the way to its activations' mean, and no average."""
    with seeded(0, "network"):
        modules = build_network(BLUEPRINT)
    layer = modules["backbone"].get_submodule("block1.0")
    expected = 0.1 * layer(inputs_of(IMAGES)).mean((0, 2, 3)).detach()
    still = Component("transferlab.augmentation.images.weak", {"shift": 0.0, "flip": False})
    stage = _fit("mean_teacher", first_decay=0.5, last_decay=0.5, view=still)
    streams = {
        "source": Stream(Examples(0 * IMAGES, LABELS), len(IMAGES), torch.Generator()),
        "target_unlabelled": Stream(Examples(IMAGES), len(IMAGES), torch.Generator()),
    }
    config = replace(_config("optimizer.lr=0"), steps=1, snapshots=1)
    fit(stage, modules, streams, setup_of(config))
    torch.testing.assert_close(modules["teacher_backbone"].get_buffer("block1.1.running_mean"), expected)
    students = modules["backbone"].get_buffer("block1.1.running_mean")
    assert not torch.allclose(students, expected, atol=1e-3)


def test_student_and_teacher_have_views_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter(range(1, 100))
    monkeypatch.setattr(augmentation, "strong", lambda x, **_options: torch.full_like(x, next(values) / 100))
    assert _seen(_fit("mean_teacher"))[0] == pytest.approx([0.01] * 16 + [0.02] * 16)
    values = iter(range(1, 100))
    assert _seen(_fit("mean_teacher"), "teacher")[0] == pytest.approx([0.03] * 16)


def test_the_teacher_predicts(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=mean_teacher")
    assert run_experiment(run, "test")["status"] == "ok"
    written = load_file(run.folder / "model.safetensors")
    assert {key.partition(".")[0] for key in written} == {"teacher_backbone", "teacher_bottleneck", "teacher_head"}


def test_drcn_moves_encoder_head_and_decoder_and_the_target_matters() -> None:
    with seeded(0, "network"):
        before = build_network(BLUEPRINT)
    first, second = run_fit(_fit("drcn"), before, _config())
    moved = {key.partition(".")[0] for key in changed(first.modules, second.modules, *NETWORK, "decoder")}
    assert moved == {*NETWORK, "decoder"}
    assert changed(_after(_fit("drcn")), _after(_fit("drcn", weight=0.0)), "backbone")
    assert not changed(_after(_fit("drcn")), _after(_fit("drcn", mask=0.0)), "backbone")


def test_drcn_hides_pixels_from_the_encoder_and_asks_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    plain = Reconstruction.forward

    def watched(self: Reconstruction, decoded: Any, images: Any, progress: Tensor) -> Tensor:
        asked.append(images.features)
        assert decoded.logits.shape == images.features.shape == (16, 1, 8, 8)
        return plain(self, decoded, images, progress)

    monkeypatch.setattr(Reconstruction, "forward", watched)
    _filled(monkeypatch, masked=-1.0)
    seen = _seen(_fit("drcn"))
    assert [step[16:] for step in seen] == [[-1.0] * 16] * 2
    assert -1.0 not in seen[0][:16]
    known = {one.numpy().tobytes() for one in inputs_of(IMAGES)}
    assert all(one.numpy().tobytes() in known for step in asked for one in step)


def test_drcn_learns_to_reconstruct(tiny_run: RunOf) -> None:
    run = tiny_run("strategy=drcn", "steps=100", "log_every=10", "snapshots=1")
    run_experiment(run, "test")
    assert {key.partition(".")[0] for key in load_file(run.folder / "model.safetensors")} == {*NETWORK}
    header, *rows = (line.split(",") for line in (run.folder / "metrics.csv").read_text().splitlines())
    values = [float(row[header.index("reconstruction")]) for row in rows]
    assert values[-1] < 0.6 * values[0]


@pytest.mark.parametrize(("channels", "size"), [(1, 4), (3, 8), (1, 15), (3, 33)])
def test_the_decoder_makes_images_of_any_size(channels: int, size: int) -> None:
    assert Decoder(6, ImageSpec(channels, size))(torch.randn(2, 6)).shape == (2, channels, size, size)


@pytest.mark.parametrize(
    ("name", "option", "value", "words"),
    [
        ("fixmatch", "weight", -1, "at least 0"),
        ("fixmatch", "threshold", 1.1, "0 to 1"),
        ("mean_teacher", "weight", -1, "at least 0"),
        ("mean_teacher", "threshold", 2, "0 to 1"),
        ("mean_teacher", "ramp", -0.1, "0 to 1"),
        ("mean_teacher", "first_decay", 1.5, "0 to 1"),
        ("drcn", "weight", -1, "at least 0"),
        ("drcn", "mask", 1, "0 to below 1"),
    ],
)
def test_values_out_of_range(name: str, option: str, value: float, words: str) -> None:
    with pytest.raises(Refusal, match=rf"^strategy\.{option}={value}: expected .*{words}"):
        _fit(name, **{option: value})


@pytest.mark.parametrize(
    ("name", "option", "words"),
    [
        ("fixmatch", "weak.shift=1.5", "0 to 1"),
        ("fixmatch", "strong.noise=-1.0", "0 to 2"),
        ("mean_teacher", "view.rotation=270.0", "0 to 180"),
        ("contrastive", "view.scale=1.0", "0 to 0.99"),
        ("contrastive", "view.contrast=1.5", "0 to 1"),
    ],
)
def test_strengths_out_of_range(name: str, option: str, words: str, train_tiny: Callable[..., Said]) -> None:
    said = train_tiny(f"strategy={name}", f"strategy.{option}")
    assert said.code == 2
    assert f"strategy.{option}: expected {words}\n" in said.err


def test_a_misspelt_strength_is_named(train_tiny: Callable[..., Said]) -> None:
    said = train_tiny("strategy=fixmatch", "strategy.strong.cutut=0.1")
    assert said.code == 2
    assert "strategy.strong.cutut: no such name. Did you mean cutout?" in said.err
