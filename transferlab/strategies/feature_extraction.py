"""Feature extraction: the source-trained network is frozen, and a new head reads its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import HEAD, Estimate, Fit, Phase, Solve, Stage, cross_entropy, fit_source
from transferlab.strategies.strategy import Strategy

SOLVED: Mapping[str, Sequence[str]] = {
    "logistic": ("C",),
    "kernel_logistic": ("C", "components", "gamma"),
    "svm_linear": ("C",),
    "svm_rbf": ("C", "gamma"),
    "knn": ("neighbours",),
    "lda": (),
    "ridge": ("C",),
    "kernel_ridge": ("C", "gamma"),
    "svr": ("C", "gamma"),
    "forest": (),
}
"""Heads that scikit-learn finds, and which of the strategy's options each takes."""

REGRESSORS = ("ridge", "kernel_ridge", "svr", "forest")
"""Those of them that predict a number."""


@dataclass(frozen=True)
class FeatureExtraction(Strategy):
    """Source fit, then a classifier on frozen features (Donahue et al. 2014; Razavian et al. 2014).

    Attributes:
        start: with a fit on the ``source``; or with the backbone's ``weights`` as they are, and no source example.
        layers: of the backbone, whose outputs are pooled and set side by side (Head2Toe; Evci et al. 2022, without
            its selection of features); none for the bottleneck's features.
        head: ``linear`` and ``mlp`` are trained by the loop, the others solved by scikit-learn, the last four of them
            for labels that are numbers.
        width: of the mlp's hidden layer.
        C: inverse strength of the L2 penalty of logistic, kernel_logistic, svm_linear, svm_rbf, ridge, kernel_ridge
            and svr.
        gamma: of the RBF kernel exp(−γ‖x − y‖²) of kernel_logistic, svm_rbf, kernel_ridge and svr; ``scale``:
            1 / (d · variance).
        components: how many examples span kernel_logistic's kernel.
        neighbours: how many vote in knn.
    """

    family = "parameter transfer"
    learns_numbers = True

    start: Literal["source", "pretrained"]
    layers: list[str]
    head: Literal[
        "linear",
        "mlp",
        "logistic",
        "kernel_logistic",
        "svm_linear",
        "svm_rbf",
        "knn",
        "lda",
        "ridge",
        "kernel_ridge",
        "svr",
        "forest",
    ]
    width: int
    C: float
    gamma: float | Literal["scale"]
    components: int
    neighbours: int

    def __post_init__(self) -> None:
        if self.C <= 0:
            raise Refusal(f"strategy.C={self.C}: expected more than 0")
        if self.gamma != "scale" and self.gamma <= 0:
            raise Refusal(f"strategy.gamma={self.gamma}: expected more than 0, or scale")
        for name in ("width", "components", "neighbours"):
            if getattr(self, name) < 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 1")
        if self.start == "pretrained" and not self.layers:
            raise Refusal("strategy.start=pretrained: the bottleneck has learned nothing; expected strategy.layers=[…]")
        if len(set(self.layers)) < len(self.layers):
            raise Refusal(f"strategy.layers=[{','.join(self.layers)}]: expected each layer once")

    @property
    def needs_weights(self) -> bool:
        """With ``start=pretrained`` the weights are all that is transferred."""
        return self.start == "pretrained"

    @property
    def classes(self) -> Literal["same", "any"]:
        """The head is the target's own."""
        return "any"

    def refuses_numbers(self) -> str | None:
        """Heads that classify."""
        able = ("linear", "mlp", *REGRESSORS)
        return None if self.head in able else f"head={self.head} is for classes; for numbers: {', '.join(able)}"

    def refuses_classes(self) -> str | None:
        """Heads that predict a number."""
        return f"head={self.head} is for numbers, and labels are classes" if self.head in REGRESSORS else None

    def lacks(self, labels: Sequence[int]) -> str | None:
        """``lda`` estimates a variance, which takes two examples of each class."""
        return "head=lda needs two labels of every class" if self.head == "lda" and min(labels) < 2 else None

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source; put the layers, where they are named, in the encoder's place; fit or solve for a new head."""
        layers = Component("transferlab.models.sharing.layers_for_features", {"layers": self.layers})
        estimates = [Estimate("layers", (), layers)] if self.layers else []
        start = [fit_source()] if self.start == "source" else []
        return [*start, *estimates, self._fit() if self.head in ("linear", "mlp") else self._solve()]

    def _solve(self) -> Solve:
        options: dict[str, Any] = {name: getattr(self, name) for name in SOLVED[self.head]}
        module = "regressors" if self.head in REGRESSORS else "classifiers"
        solver = Component(f"transferlab.solvers.{module}.{self.head}", options)
        return Solve(self.head, ("target_labelled",), solver)

    def _fit(self) -> Fit:
        head = HEAD
        if self.head == "mlp":
            head = Component("transferlab.models.heads.MLPHead", {"width": self.width})
        of_layers = Component("transferlab.models.sharing.head_of_layers", {"head": head})
        return Fit(
            self.head,
            (Phase((cross_entropy("target_labelled"),), ("head",)),),
            new={} if self.layers else {"head": head},
            builds=(of_layers,) if self.layers else (),
        )
