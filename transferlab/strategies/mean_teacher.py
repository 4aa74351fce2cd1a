"""Mean teacher: a network that follows a moving average of itself on differently augmented target examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import CROSS_ENTROPY, ENCODER, NETWORK, Average, Fit, Phase, Read, Stage, Term
from transferlab.strategies.strategy import Strategy
from transferlab.strategies.views import refuse_strengths

TEACHER = {name: f"teacher_{name}" for name in NETWORK}
"""The teacher's module for each of the student's."""


@dataclass(frozen=True)
class MeanTeacher(Strategy):
    """CE_s + ``weight`` · squared difference of student and teacher on the target (French et al. 2018).

    The teacher's weights are an exponential moving average of the student's (Tarvainen & Valpola 2017), and it is the
    teacher that predicts. It sees the target alone, in training mode, so its BatchNorm statistics are the target's.
    Source examples, too, are seen through a view, as in French et al.; their loss that balances classes is left out.

    Attributes:
        weight: of the target's term.
        threshold: least probability of the teacher's prediction for an example to count; 0 for every example.
        ramp: fraction of the stage over which the target's term grows to its full weight.
        first_decay: of the average, when the stage begins.
        last_decay: when it ends.
        view: what student and teacher see, each by draws of its own.
    """

    family = "self-training"
    learns_numbers = True
    predictor = tuple(TEACHER.values())

    weight: float
    threshold: float
    ramp: float
    first_decay: float
    last_decay: float
    view: Component

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise Refusal(f"strategy.weight={self.weight}: expected at least 0")
        for name in ("threshold", "ramp", "first_decay", "last_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected 0 to 1")
        refuse_strengths("strategy.view", self.view)

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """One fit on source and unlabelled target."""
        student = Read("target_unlabelled", view="student")
        teacher = Read("target_unlabelled", tuple(TEACHER[name] for name in ENCODER), TEACHER["head"], "teacher")
        consistency = Component(
            "transferlab.losses.consistency.Consistency", {"threshold": self.threshold, "ramp": self.ramp}
        )
        terms = (
            Term("cross_entropy_source", CROSS_ENTROPY, (Read("source", view="student"),)),
            Term("consistency", consistency, (student, teacher), self.weight),
        )
        averages = {TEACHER[name]: Average(name, self.first_decay, self.last_decay) for name in NETWORK}
        views: dict[str, Component] = dict.fromkeys(("student", "teacher"), self.view)
        trained = Component(
            "transferlab.models.trainable.student_with_teacher",
            {"student": list(TEACHER), "teacher": list(TEACHER.values())},
        )
        return [Fit("mean_teacher", (Phase(terms, trains=trained),), averages=averages, views=views)]
