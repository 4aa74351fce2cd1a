"""Distillation on real digits: who teaches whom what, and that neither moves when it shouldn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from jobs import Said, rows_of
from safetensors.torch import load_file
from staged import changed, modules_after
from torch import Tensor

from transferlab.config.component import Component
from transferlab.config.identity import Data, run_id
from transferlab.errors import Refusal
from transferlab.estimates.soft_labels import from_teacher
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.losses.distillation import SoftLabels, soft_label_divergence
from transferlab.losses.output import Output
from transferlab.models.network import Blueprint, build_network, named
from transferlab.models.teacher import regressor, teachers
from transferlab.stages import NETWORK, Estimate, Fit
from transferlab.strategies.distillation import Distillation
from transferlab.training.seeding import seeded
from transferlab.training.streams import Examples, as_tensor

RunOf = Callable[..., Run]

MLP = Component("transferlab.backbones.mlp.MLP", {"widths": [12]}, "mlp")
STUDENT = Blueprint(Component("transferlab.backbones.lenet.LeNet"), inputs=ImageSpec(1, 8), features=6, classes=4)
SMALL = (
    "strategy=distillation",
    "backbone@strategy.teacher=mlp",
    "strategy.teacher.widths=[12]",
    "strategy.mode=transfer_set",
)


@pytest.fixture(scope="module")
def shipped() -> Distillation:
    """With the options of its YAML file, but for the mode."""
    return rows_of(*SMALL)[0].config.strategy()


def _shape(strategy: Distillation) -> list[tuple[str, list[str], set[str]]]:
    """Of every stage: its name, its terms and its streams."""
    return [
        (stage.name, [term.name for phase in getattr(stage, "phases", ()) for term in phase.terms], set(stage.streams))
        for stage in strategy.stages(None)
    ]


def test_stages_of_a_transfer_set(shipped: Distillation) -> None:
    first = [("teacher1", ["cross_entropy_source"], {"source"}), ("soft_labels", [], {"target_unlabelled"})]
    both = ["soft_labels", "cross_entropy_target_labelled"]
    assert _shape(shipped) == [*first, ("student", both, {"target_unlabelled", "target_labelled"})]
    assert _shape(replace(shipped, alpha=1.0))[-1] == ("student", ["soft_labels"], {"target_unlabelled"})
    assert _shape(replace(shipped, hard_labels="source"))[-1][2] == {"target_unlabelled", "source"}
    everything = replace(shipped, hint_weight=2.0, relation="rkd")
    assert _shape(everything)[-1][1] == ["soft_labels", "hints", "relations", "cross_entropy_target_labelled"]


def test_stages_of_then_finetune(shipped: Distillation) -> None:
    """Soft labels alone and fixed, then the target's labels alone."""
    assert _shape(replace(shipped, mode="then_finetune", teachers=2)) == [
        ("teacher1", ["cross_entropy_source"], {"source"}),
        ("teacher2", ["cross_entropy_source"], {"source"}),
        ("soft_labels", [], {"target_unlabelled"}),
        ("student", ["soft_labels"], {"target_unlabelled"}),
        ("finetune", ["cross_entropy_target_labelled"], {"target_labelled"}),
    ]


def test_soft_and_hard_labels_are_weighed_by_alpha(shipped: Distillation) -> None:
    stage = replace(shipped, alpha=0.75).stages(None)[-1]
    assert isinstance(stage, Fit)
    assert [term.weight for term in stage.phases[0].terms] == [0.75, 0.25]
    assert [read.stream for read in stage.reads] == ["target_unlabelled", "target_labelled"]


def test_the_teacher_learns_first_and_then_stays_while_the_student_waits(tiny_run: RunOf) -> None:
    """Bit-identical, BatchNorm statistics included; the student begins as every strategy's network does."""
    run = tiny_run(*SMALL, "strategy.teachers=2")
    first, second, after = (modules_after(run, count) for count in (1, 2, None))
    moved = changed(first, second, "teacher", *NETWORK)
    assert {".".join(name.split(".")[:3]) for name in moved} == {"teacher.encoder.1", "teacher.classifier.1"}
    one, other = (named(second, f"teacher.encoder.{place}").state_dict() for place in (0, 1))
    assert not any(torch.equal(one[key], other[key]) for key in one if key.endswith("weight"))
    assert not changed(second, after, "teacher")
    assert {name.split(".")[0] for name in changed(second, after, *NETWORK)} == set(NETWORK)
    with seeded(run.seed, "network"):
        start = build_network(Blueprint(run.config.backbone, run.task.inputs, run.config.bottleneck, 10))
    assert not changed(start, second, *NETWORK)


def _networks(count: int, temperature: float, features: int = 5) -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    modules = build_network(STUDENT)
    options: dict[str, Any] = {"backbone": MLP, "count": count, "features": features, "temperature": temperature}
    modules |= teachers(modules, replace(STUDENT, classes=9), **options)
    for module in modules.values():
        module.eval()
    return modules


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_several_teachers_average_their_probabilities(temperature: float) -> None:
    modules = _networks(3, temperature)
    images = torch.rand(7, 1, 8, 8)
    softened = [
        named(modules, f"teacher.classifier.{k}")(named(modules, f"teacher.encoder.{k}")(images)) / temperature
        for k in range(3)
    ]
    expected = torch.stack([logits.softmax(1) for logits in softened]).mean(0)
    torch.testing.assert_close((modules["teacher"](images) / temperature).softmax(1), expected)
    assert expected.shape == (7, 4), "the source's classes, whatever the target's"


def test_a_refusal_of_the_teachers_backbone_names_the_teacher() -> None:
    bad: dict[str, Any] = {"backbone": replace(MLP, options={"widths": []}), "count": 1, "features": 5}
    with pytest.raises(Refusal, match=r"^strategy\.teacher\.widths=\[\]: expected"):
        teachers(build_network(STUDENT), STUDENT, **bad, temperature=1.0)


def test_one_teacher_is_itself() -> None:
    """Its logits, up to a number added to each row; so an equal student has nothing to learn."""
    modules = _networks(1, 1.0)
    images = torch.rand(7, 1, 8, 8)
    own = named(modules, "teacher.classifier.0")(named(modules, "teacher.encoder.0")(images))
    assert soft_label_divergence(own, modules["teacher"](images), 1.0).item() == pytest.approx(0, abs=1e-6)


def test_fixed_soft_labels_are_what_the_teacher_says_of_every_example() -> None:
    modules = _networks(2, 4.0)
    images = torch.randint(256, (530, 1, 8, 8), dtype=torch.uint8)
    noted = from_teacher(modules, {"target_unlabelled": Examples(images)})["target_unlabelled"]
    seen = named(modules, "teacher.encoder")(images.float() / 127.5 - 1)
    torch.testing.assert_close(noted["teacher_features"], seen)
    torch.testing.assert_close(noted["teacher_logits"], named(modules, "teacher.classifier")(seen))
    assert noted["teacher_features"].shape == (530, 10)


def test_the_student_is_given_the_soft_labels_of_its_own_examples(
    tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every batch, what stands beside an example is what the teacher says of that example."""
    run = tiny_run(*SMALL, "strategy.hint_weight=1")
    seen: list[Output] = []

    def record(self: SoftLabels, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        assert not teacher
        seen.append(student)
        return student.logits.sum() * 0

    monkeypatch.setattr(SoftLabels, "forward", record)
    modules = modules_after(run)
    assert len(seen) == 6
    for output in seen:
        assert output.inputs is not None
        with torch.no_grad():
            torch.testing.assert_close(output.estimates["teacher_logits"], modules["teacher"](output.inputs))


def test_with_augmentation_both_see_the_same_view(tiny_run: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(*SMALL, "strategy.shift=0.25", "strategy.hint_weight=1", "precision=fp32")
    assert not any(isinstance(stage, Estimate) for stage in run.strategy.stages(None))
    seen: list[tuple[Output, Output]] = []

    def record(self: SoftLabels, student: Output, *teacher: Output, progress: Tensor) -> Tensor:
        seen.append((student, *teacher))  # type: ignore[arg-type]
        return student.logits.sum() * 0

    monkeypatch.setattr(SoftLabels, "forward", record)
    modules = modules_after(run)
    training, _ = run.examples()
    known = {tuple(image.flatten().tolist()) for image in as_tensor(training.target_unlabelled.inputs, "cpu")}
    moved = 0
    for student, teacher in seen:
        assert student.inputs is not None
        assert teacher.inputs is not None
        assert torch.equal(student.inputs, teacher.inputs)
        with torch.no_grad():
            torch.testing.assert_close(teacher.logits, modules["teacher"](student.inputs))
        assert not teacher.logits.requires_grad
        pixels = ((student.inputs + 1) * 127.5).round().to(torch.uint8)
        moved += sum(tuple(image.flatten().tolist()) not in known for image in pixels)
    assert moved > 48, "of 96 examples, most have moved"


def test_hints_pass_a_regressor_where_widths_differ(tiny_run: RunOf) -> None:
    assert isinstance(regressor(_networks(1, 1.0, features=6), STUDENT)["regressor"], torch.nn.Identity)
    two = regressor(_networks(2, 1.0, features=6), STUDENT)["regressor"]
    assert isinstance(two, torch.nn.Linear)
    assert (two.in_features, two.out_features) == (6, 12)
    run = tiny_run(*SMALL, "strategy.hint_weight=1", "strategy.teacher_width=20")
    after = modules_after(run)
    assert isinstance(after["regressor"], torch.nn.Linear)
    stage = run.strategy.stages(None)[-1]
    assert isinstance(stage, Fit)
    assert "regressor" in stage.phases[0].moves


def test_the_students_loss_of_hints_falls(tiny_run: RunOf) -> None:
    run = tiny_run(*SMALL, "strategy.hint_weight=50", "strategy.alpha=0", "steps=60", "log_every=20")
    run_experiment(run, "test")
    rows = [line.split(",") for line in (run.folder / "metrics.csv").read_text().splitlines()]
    hints = [float(row[rows[0].index("hints")]) for row in rows[1:] if row[0] == "student"]
    assert hints[-1] < 0.8 * hints[0]


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, "same"),
        ({"hint_weight": 1.0}, "same"),
        ({"alpha": 0.0, "relation": "rkd"}, "same"),
        ({"alpha": 0.0, "hint_weight": 1.0}, "any"),
        ({"alpha": 0.0, "hint_weight": 1.0, "mode": "then_finetune"}, "any"),
        ({"alpha": 0.0, "hint_weight": 1.0, "hard_labels": "source"}, "same"),
        ({"alpha": 0.0, "hint_weight": 1.0, "hard_labels": "source", "mode": "then_finetune"}, "any"),
    ],
)
def test_label_spaces_may_differ_with_hints_alone(options: dict[str, Any], classes: str, shipped: Distillation) -> None:
    assert replace(shipped, **options).classes == classes


@pytest.mark.parametrize("mode", ["transfer_set", "then_finetune"])
def test_distillation_across_label_spaces(mode: str, tiny_run: RunOf) -> None:
    run = tiny_run(*SMALL, "strategy.alpha=0", "strategy.hint_weight=1", f"strategy.mode={mode}")
    task = run.task
    merged = replace(task.source, labels=task.source.labels % 4, class_names=("a", "b", "c", "d"))
    run = replace(run, task=replace(task, source=merged))
    assert not run.task.same_classes
    assert run_experiment(run, "test")["status"] == "ok"
    assert load_file(run.folder / "model.safetensors")["head.weight"].shape[0] == 10
    assert named(modules_after(run, 1), "teacher.classifier.0").get_parameter("weight").shape[0] == 4


def test_the_predictor_is_the_student_alone(tiny_run: RunOf) -> None:
    run = tiny_run(*SMALL)
    run_experiment(run, "test")
    names = {key.split(".")[0] for key in load_file(run.folder / "model.safetensors")}
    assert names == {"backbone", "bottleneck", "head"}


def test_the_teacher_is_chosen_by_name_and_has_options_of_its_own(train_tiny: Callable[..., Said]) -> None:
    default, other = (
        rows_of("strategy=distillation", *more)[0].config
        for more in ([], ["backbone@strategy.teacher=mlp", "strategy.teacher.widths=[7]"])
    )
    assert other.strategy.options["teacher"] == Component("transferlab.backbones.mlp.MLP", {"widths": [7]}, "mlp")
    assert default.backbone == other.backbone
    data = Data(("a", "b"), {})
    assert run_id(default, data) != run_id(other, data)
    for arguments, words in [
        (["backbone@strategy.teacher=mpl"], ["mpl", "mlp"]),
        (["backbone@strategy.teacher=mlp", "strategy.teacher.width=[7]"], ["strategy.teacher.width"]),
        (["backbone@strategy.teacher=mlp", "strategy.teacher.widths=7"], ["strategy.teacher.widths=7", "a list"]),
        (["strategy.teacher=mlp"], ["strategy.teacher=mlp", "GROUP@strategy.teacher=mlp"]),
    ]:
        said = train_tiny("strategy=distillation", *arguments)
        assert said.code == 2
        assert all(word in said.err for word in words), said.err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("teachers", 0, "expected at least 1"),
        ("teacher_width", 0, "expected at least 1"),
        ("temperature", 0.0, "expected more than 0"),
        ("alpha", 1.1, "expected 0 to 1"),
        ("alpha", -0.1, "expected 0 to 1"),
        ("hint_weight", -1.0, "expected at least 0"),
        ("angle_weight", -1.0, "expected at least 0"),
        ("distance_weight", -1.0, "expected at least 0"),
        ("shift", 2.0, "expected 0 to 1"),
        ("alpha", 0.0, "nothing is learned of the teacher"),
    ],
)
def test_values_out_of_range(option: str, value: float, words: str, shipped: Distillation) -> None:
    with pytest.raises(Refusal, match=rf"^strategy\.{option}={value}: {words}"):
        replace(shipped, **{option: value})


@pytest.mark.parametrize("view", [{"shift": 0.1}, {"flip": True}])
def test_fixed_soft_labels_and_augmentation_exclude_each_other(view: dict[str, Any], shipped: Distillation) -> None:
    with pytest.raises(Refusal, match="its soft labels are fixed"):
        replace(shipped, mode="then_finetune", **view)
