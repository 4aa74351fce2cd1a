"""Distillation: a teacher, trained on the source, teaches a student on target examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import (
    CROSS_ENTROPY,
    HEAD,
    NETWORK,
    Estimate,
    Fit,
    Phase,
    Read,
    Stage,
    Term,
    cross_entropy,
)
from transferlab.strategies.strategy import Strategy

TARGET = "target_unlabelled"


@dataclass(frozen=True)
class Distillation(Strategy):
    """α · T² · KL(teacher ‖ student) on the target + (1 − α) · CE (Hinton et al. 2015).

    The student is the run's own network: what it would be without a teacher are the baselines.
    The teacher learns from the source alone, so its labels are in the source's classes. The labels of the
    cross-entropy are those known in the transfer set, which is the target: Hinton et al., section 2.

    Attributes:
        teacher: the teacher's backbone.
        teachers: how many, of different first weights and orders; their probabilities at T are averaged.
        teacher_width: of each teacher's bottleneck.
        mode: ``transfer_set``: soft and hard labels together; ``then_finetune``: soft labels, found once, alone, and
            after them the labelled target examples alone.
        temperature: T.
        alpha: weight of the soft labels; 0 for none.
        hard_labels: ``transfer_set``: whose labels the cross-entropy reads.
        hint_weight: weight of learning the teacher's features, by a linear map where widths differ (Romero et al.
            2015).
        relation: ``rkd`` for learning distances and angles between the teacher's features (Park et al. 2019).
        distance_weight: of ``rkd``'s distances.
        angle_weight: of ``rkd``'s angles.
        shift: ``transfer_set``: student and teacher see target examples moved at random, by this part of the image.
        flip: ``transfer_set``: and mirrored.
    """

    family = "parameter transfer"
    learns_numbers = True

    teacher: Component
    teachers: int
    teacher_width: int
    mode: Literal["transfer_set", "then_finetune"]
    temperature: float
    alpha: float
    hard_labels: Literal["target", "source"]
    hint_weight: float
    relation: Literal["none", "rkd"]
    distance_weight: float
    angle_weight: float
    shift: float
    flip: bool

    def __post_init__(self) -> None:
        for name, least in (("teachers", 1), ("teacher_width", 1), ("hint_weight", 0)):
            if getattr(self, name) < least:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least {least}")
        for name in ("distance_weight", "angle_weight"):
            if getattr(self, name) < 0:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 0")
        if self.temperature <= 0:
            raise Refusal(f"strategy.temperature={self.temperature}: expected more than 0")
        for name in ("alpha", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected 0 to 1")
        if not self._teacher_terms:
            raise Refusal("strategy.alpha=0.0: nothing is learned of the teacher; expected hint_weight or relation=rkd")
        if self.mode == "then_finetune" and self._augmented:
            raise Refusal("strategy.mode=then_finetune: its soft labels are fixed; shift and flip need transfer_set")

    @property
    def classes(self) -> Literal["same", "any"]:
        """Soft labels and source labels are in the source's classes; hints are in none."""
        from_source = self.mode == "transfer_set" and self.hard_labels == "source"
        return "any" if self.alpha == 0 and self.hint_weight > 0 and not from_source else "same"

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the teachers; find the soft labels, unless views change; fit the student, in one stage or two."""
        estimate = Estimate("soft_labels", (TARGET,), Component("transferlab.estimates.soft_labels.from_teacher"))
        stages: list[Stage] = [self._teacher(index) for index in range(self.teachers)]
        stages += [] if self._augmented else [estimate]
        stages.append(self._student())
        if self.mode == "then_finetune":
            stages.append(Fit("finetune", (Phase((cross_entropy("target_labelled"),)),)))
        return stages

    @property
    def _augmented(self) -> bool:
        return self.shift > 0 or self.flip

    @property
    def _teacher_terms(self) -> list[Term]:
        """The terms that learn from the teacher: from its pass over the same views, or from its stored outputs."""
        view = "augmented" if self._augmented else ""
        teacher = (Read(TARGET, ("teacher.encoder",), "teacher.classifier", view),) if view else ()
        student, regressed = Read(TARGET, view=view), Read(TARGET, classifier="regressor", view=view)
        soft = Component("transferlab.losses.distillation.SoftLabels", {"temperature": self.temperature})
        weights = {"distance": self.distance_weight, "angle": self.angle_weight}
        relations = Component("transferlab.losses.distillation.Relations", weights)
        hints = Component("transferlab.losses.distillation.Hints")
        terms = [
            Term("soft_labels", soft, (student, *teacher), self.alpha),
            Term("hints", hints, (regressed, *teacher), self.hint_weight),
            Term("relations", relations, (student, *teacher), float(self.relation == "rkd")),
        ]
        return [term for term in terms if term.weight > 0]

    def _teacher(self, index: int) -> Fit:
        """One teacher's fit on the source; the first fit builds all teachers."""
        options = {
            "backbone": self.teacher,
            "count": self.teachers,
            "features": self.teacher_width,
            "temperature": self.temperature,
        }
        encoder, classifier = f"teacher.encoder.{index}", f"teacher.classifier.{index}"
        term = Term("cross_entropy_source", CROSS_ENTROPY, (Read("source", (encoder,), classifier),))
        build = (Component("transferlab.models.teacher.teachers", options),) if index == 0 else ()
        return Fit(f"teacher{index + 1}", (Phase((term,), (encoder, classifier)),), builds=build)

    def _student(self) -> Fit:
        weak = Component("transferlab.augmentation.images.weak", {"shift": self.shift, "flip": self.flip})
        terms = self._teacher_terms
        if self.mode == "transfer_set" and self.alpha < 1:
            stream = {"target": "target_labelled", "source": "source"}[self.hard_labels]
            terms.append(cross_entropy(stream, 1 - self.alpha))
        regressed = self.hint_weight > 0
        return Fit(
            "student",
            (Phase(tuple(terms), (*NETWORK, "regressor") if regressed else NETWORK),),
            new={"head": HEAD},
            builds=(Component("transferlab.models.teacher.regressor"),) if regressed else (),
            views={"augmented": weak} if self._augmented else {},
        )
