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

REGRESSORS = ("ridge", "kernel_ridge")
"""Classifiers that predict a number."""

TREES = ("forest", "boosting")
"""Classifiers that predict classes or a number."""


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
        features: of a network fitted to the source, or the inputs themselves; ``tfidf``: of texts, the counts of words
            weighted by how few texts have a word.
        use_source: false: the classifier learns from labelled target examples alone; with ``method=none`` and without
            a network.
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
        "none",
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
        "logistic", "kernel_logistic", "svm_linear", "svm_rbf", "forest", "boosting", "ridge", "kernel_ridge"
    ]
    features: Literal["network", "raw", "tfidf"]
    use_source: bool
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
        if not self.use_source and (self.method != "none" or self.features == "network"):
            raise Refusal("strategy.use_source=false: expected method=none, and features=raw or tfidf")
        if not (self.use_source or self.use_target_labels):
            raise Refusal("strategy.use_source=false: nothing is left to learn from; use_target_labels=true")
        if self.features == "tfidf" and self.method == "adaptive_svm":
            raise Refusal("strategy.features=tfidf: method=adaptive_svm takes raw or network")
        if self.max_examples < 2:
            raise Refusal(f"strategy.max_examples={self.max_examples}: expected at least 2")

    def refuses_numbers(self) -> str | None:
        """Methods that look at classes, and classifiers."""
        if self.method in ("lda", "adaptive_svm"):
            return f"method={self.method} is about classes, and labels are numbers"
        able = ("logistic", *REGRESSORS, *TREES)
        return None if self.classifier in able else f"classifier={self.classifier}; for numbers: {', '.join(able[1:])}"

    def refuses_kind(self, kind: str) -> str | None:
        """TF-IDF is of texts."""
        of_texts = self.features == "tfidf"
        return "features=tfidf is of texts; raw takes all inputs" if of_texts and kind != "tokens" else None

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
            needed = {
                "source": self.use_source,
                "target_unlabelled": self.use_source or self.features == "tfidf",
                "target_labelled": self.use_target_labels,
            }
            streams = tuple(name for name, needs in needed.items() if needs)
            options = {
                "classifier": self._classifier,
                "adaptation": self._adaptation,
                "tfidf": self.features == "tfidf",
            }
            solver = Component("transferlab.solvers.adaptations.shallow", options)
        return [*fits, Solve("shallow", streams, solver, encoder)]

    @property
    def _adaptation(self) -> Component:
        names = {
            "none": [],
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
        if self.classifier in TREES:
            options = {}
        if self.classifier in ("kernel_logistic", "svm_rbf", "kernel_ridge"):
            options |= self._options(["gamma"])
        if self.classifier == "kernel_logistic":
            options |= {"components": self.kernel_components}
        modules: dict[str, str] = {**dict.fromkeys(REGRESSORS, "regressors"), **dict.fromkeys(TREES, "trees")}
        module = modules.get(self.classifier, "classifiers")
        return Component(f"transferlab.solvers.{module}.{self.classifier}", options)

    def _options(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}
