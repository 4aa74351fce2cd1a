"""Strategies where labels are numbers: which can learn them, and by which losses."""

from __future__ import annotations

from dataclasses import replace

from transferlab.config.component import Component
from transferlab.config.input_settings import RegressionConfig
from transferlab.config.schema import AdaptationLoss
from transferlab.stages import Fit, Solve, Stage, Term
from transferlab.strategies.strategy import Strategy

LOSSES = frozenset({"dann", "mmd", "ddc", "coral", "afn", "bsp", "jdot", "rsd", "dare_gram"})
"""Adaptation losses that look at features alone, or, as jdot, have a form for numbers."""

NUMBERS = "transferlab.losses.numbers"

SOLVERS = {
    "transferlab.solvers.classifiers.logistic": "transferlab.solvers.regressors.ridge",
    "transferlab.solvers.trees.forest": "transferlab.solvers.regressors.forest",
    "transferlab.solvers.trees.boosting": "transferlab.solvers.regressors.boosting",
    "transferlab.solvers.tradaboost.tradaboost": "transferlab.solvers.tradaboost_r2.tradaboost_r2",
}
"""From a solver for classes to the one with the same options for numbers."""


def not_for_numbers(strategy: Strategy, loss: AdaptationLoss | None) -> str | None:
    """Why a strategy, with its options, can't learn numbers; None if it can."""
    if why := strategy.refuses_numbers():
        return why
    if loss is not None and loss.name not in LOSSES:
        return f"loss={loss.name} is about classes, and labels are numbers; these aren't: {', '.join(sorted(LOSSES))}"
    return None


def for_numbers(stage: Stage, config: RegressionConfig) -> Stage:
    """The stage with each loss and solver of class labels replaced by its counterpart for numbers."""
    match stage:
        case Fit():
            phases = [
                replace(phase, terms=tuple(_term(term, config) for term in phase.terms)) for phase in stage.phases
            ]
            return replace(stage, phases=tuple(phases))
        case Solve():
            return replace(stage, solver=_solver(stage.solver))
        case _:
            return stage


def _solver(solver: Component) -> Component:
    """``logistic`` is ridge regression's counterpart; of boosting and adaptation it may be a part."""
    options = {name: _solver(own) if isinstance(own, Component) else own for name, own in solver.options.items()}
    return replace(solver, target=SOLVERS.get(solver.target, solver.target), options=options)


def _term(term: Term, config: RegressionConfig) -> Term:
    name, given = term.loss.target.rpartition(".")[2], term.loss.options
    error = {"loss": config.loss, "huber_delta": config.huber_delta}
    replaced = {
        "CrossEntropy": Component(f"{NUMBERS}.NumberError", error),
        "WeightedCrossEntropy": Component(f"{NUMBERS}.WeightedNumberError", error),
        "UncertainCrossEntropy": Component(f"{NUMBERS}.UncertainSquaredError"),
        "SoftLabels": Component(f"{NUMBERS}.TeacherError"),
        "Consistency": Component(f"{NUMBERS}.NumberConsistency", {"ramp": given.get("ramp", 0.0)}),
        "JDOT": Component("transferlab.losses.transport.NumberJDOT", given),
    }
    if name not in replaced or not term.loss.target.startswith("transferlab."):
        return term
    return replace(term, name=term.name.replace("cross_entropy", f"{config.loss}_error"), loss=replaced[name])
