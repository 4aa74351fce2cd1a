"""Classical adaptation: the domains' features are brought together in closed form, then classified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transferlab.config.component import Component
from transferlab.config.schema import AdaptationLoss
from transferlab.errors import Refusal
from transferlab.stages import ENCODER, NETWORK, PLAIN, Solve, Stage, fit_source
from transferlab.strategies.strategy import Strategy

REGRESSORS = ("ridge", "kernel_ridge", "forest", "boosting")
"""Classifiers that predict a number."""


@dataclass(frozen=True)
class Shallow(Strategy):
    """Source fit, its features adapted, a classifier on them; or the same on the inputs, without a network.

    The inputs are as a network would see them, pixels from −1 to 1; categories become a column each, and texts counts
    of their words. Options of a method or a classifier other than the
    chosen one have no effect.

    Attributes:
        method: how the domains are brought together; see ``solvers/adaptations.py`` and ``solvers/adaptive_svm.py``.
        classifier: which of ``solvers/classifiers.py`` learns from the adapted source; for labels that are numbers, of
            ``solvers/regressors.py``, where ``logistic`` means ridge.
        features: of a network fitted to the source, or the inputs themselves.
        use_target_labels: the classifier learns from labelled target examples too; adaptive_svm always does.
        C: of the classifier: inverse strength of its penalty.
        gamma: of RBF kernels, the classifier's and tca's; ``scale`` for 1 / (d · variance).
        kernel_components: of kernel_logistic: examples that its kernel is spanned by.
        components: directions that pca, lda, subspace_alignment and tca keep, at most.
        mu: of tca: how much small weights count beside equal means.
        shrinkage: of coral's covariances, from 0 to 1; None for Ledoit & Wolf's rule.
        bandwidth: of kmm's kernel: its σ² as a multiple of the mean squared distance.
        clip: of kmm: the largest weight.
        drop_fraction: of feature_elimination: the share of features that is dropped.
        delta_C: of adaptive_svm: how much the labelled target examples' hinge counts.
        max_examples: of each domain, that tca and ot_mapping are found from.
    """

    family = "classical"
    learns_numbers = True

    method: Literal[
        "pca",
        "lda",
        "subspace_alignment",
        "tca",
        "coral",
        "ot_mapping",
        "kmm",
        "feature_elimination",
        "adaptive_svm",
    ]
    classifier: Literal[
        "logistic", "kernel_logistic", "svm_linear", "svm_rbf", "ridge", "kernel_ridge", "forest", "boosting"
    ]
    features: Literal["network", "raw"]
    use_target_labels: bool
    C: float
    gamma: float | Literal["scale"]
    kernel_components: int
    components: int
    mu: float
    shrinkage: float | None
    bandwidth: float
    clip: float
    drop_fraction: float
    delta_C: float  # noqa: N815 (scikit-learn's C)
    max_examples: int

    def __post_init__(self) -> None:
        for name in ("C", "mu", "bandwidth", "delta_C"):
            if getattr(self, name) <= 0:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected more than 0")
        for name in ("kernel_components", "components"):
            if getattr(self, name) < 1:
                raise Refusal(f"strategy.{name}={getattr(self, name)}: expected at least 1")
        if isinstance(self.gamma, float) and self.gamma <= 0:
            raise Refusal(f"strategy.gamma={self.gamma}: expected more than 0, or scale")
        if self.shrinkage is not None and not 0 <= self.shrinkage <= 1:
            raise Refusal(f"strategy.shrinkage={self.shrinkage}: expected from 0 to 1, or null")
        if self.clip < 1:
            raise Refusal(f"strategy.clip={self.clip}: expected at least 1, the weights' mean")
        if not 0 <= self.drop_fraction < 1:
            raise Refusal(f"strategy.drop_fraction={self.drop_fraction}: expected at least 0 and less than 1")
        if self.max_examples < 2:
            raise Refusal(f"strategy.max_examples={self.max_examples}: expected at least 2")

    def refuses_numbers(self) -> str | None:
        """Methods that look at classes, and classifiers."""
        if self.method in ("lda", "adaptive_svm"):
            return f"method={self.method} is about classes, and labels are numbers"
        able = ("logistic", *REGRESSORS)
        return (
            None if self.classifier in able else f"classifier={self.classifier}; for numbers: {', '.join(REGRESSORS)}"
        )

    def refuses_classes(self) -> str | None:
        """Those that predict a number."""
        return f"classifier={self.classifier} is for numbers" if self.classifier in REGRESSORS else None

    @property
    def predictor(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride] (here an option decides)
        """The head alone where it reads inputs."""
        return NETWORK if self.features == "network" else (*PLAIN, "head")

    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """Fit the source, where a network is asked for; solve."""
        fits = [fit_source()] if self.features == "network" else []
        encoder = ENCODER if self.features == "network" else PLAIN
        if self.method == "adaptive_svm":
            streams = ("source", "target_labelled")
            options = {"classifier": self._classifier, "delta_C": self.delta_C}
            solver = Component("transferlab.solvers.adaptive_svm.adaptive_svm", options)
        else:
            streams = ("source", "target_unlabelled", *(["target_labelled"] if self.use_target_labels else []))
            options = {"classifier": self._classifier, "adaptation": self._adaptation}
            solver = Component("transferlab.solvers.adaptations.shallow", options)
        return [*fits, Solve("shallow", streams, solver, encoder)]

    @property
    def _adaptation(self) -> Component:
        names = {
            "pca": ["components"],
            "lda": ["components"],
            "subspace_alignment": ["components"],
            "tca": ["components", "mu", "gamma", "max_examples"],
            "coral": ["shrinkage"],
            "ot_mapping": ["max_examples"],
            "kmm": ["bandwidth", "clip"],
            "feature_elimination": ["drop_fraction"],
        }
        return Component(f"transferlab.solvers.adaptations.{self.method}", self._options(names[self.method]))

    @property
    def _classifier(self) -> Component:
        options = self._options(["C"])
        if self.classifier in ("forest", "boosting"):
            options = {}
        if self.classifier in ("kernel_logistic", "svm_rbf", "kernel_ridge"):
            options |= self._options(["gamma"])
        if self.classifier == "kernel_logistic":
            options |= {"components": self.kernel_components}
        module = "regressors" if self.classifier in REGRESSORS else "classifiers"
        return Component(f"transferlab.solvers.{module}.{self.classifier}", options)

    def _options(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}
