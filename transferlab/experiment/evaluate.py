"""A run's outcome: chooses a snapshot by the validator, and evaluates it on the target."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from transferlab.config.schema import ResolvedConfig
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.splits import LabelScale, TestData, TrainingData
from transferlab.errors import Diverged
from transferlab.evaluation.metrics import NumberPredictions, Predictions, label_free_scores, target_metrics
from transferlab.evaluation.validators import Evidence
from transferlab.experiment.run import Run
from transferlab.inputs.lazy import Inputs
from transferlab.training.fit import Snapshot
from transferlab.training.streams import as_tensor, in_chunks

NO_METRICS: dict[str, None] = dict.fromkeys(
    (
        *("target_accuracy", "target_macro_f1", "target_ece", "target_ari", "target_nmi"),
        *("per_class_accuracy", "target_confidence", "target_entropy", "target_information", "source_accuracy"),
    )
)


@dataclass(frozen=True)
class Evaluation:
    """The parts of result.json that training decides.

    Attributes:
        status: ``diverged`` where a loss stopped being finite; then there are no metrics.
        metrics: the chosen snapshot's on the target; those that need test labels are None where there are none.
        selection: which snapshot was chosen, by what, and the target accuracies it was chosen among.
        predictions: the chosen snapshot's of all that ``TestData`` holds, in the order of the domain.
        indices: of the predicted examples in the domain, (n,).
        predictor: the modules of the chosen snapshot that predict.
        cost: ``parameters`` of the predictor, and ``milliseconds_per_image``, the fastest pass over the test split.
    """

    status: Literal["ok", "diverged"]
    metrics: Mapping[str, Any]
    selection: Mapping[str, Any]
    predictions: Predictions | NumberPredictions | None = None
    indices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    predictor: Mapping[str, nn.Module] | None = None
    cost: Mapping[str, Any] = field(default_factory=dict[str, Any])


def evaluate(
    run: Run, config: ResolvedConfig, snapshots: Sequence[Snapshot], training: TrainingData, test: TestData
) -> Evaluation:
    """Chooses a snapshot without the test split, then evaluates all snapshots on it.

    ``oracle`` in the selection is the best accuracy of any snapshot, chosen on the test labels as much
    of the literature does: reported beside the honest choice, and used for nothing.

    Raises:
        Diverged: if a prediction isn't finite, for a test example or a held-out source example.
    """
    held_out = training.source_validation
    read = bool({"source", "source_unlabelled"} & run.strategy.reads(config.loss)) and not run.strategy.source_free
    knows_source = read and run.task.same_classes and len(held_out.labels) > 0

    predicted_by = partial(_predicted, predictor=run.strategy.predictor, device=config.device, scale=training.scale)
    scored_as = Predictions if training.scale is None else NumberPredictions

    def on_source(snapshot: Snapshot) -> Predictions | NumberPredictions:
        return scored_as(predicted_by(snapshot, held_out.inputs), held_out.labels)

    evidence = [
        Evidence(snapshot.step, partial(on_source, snapshot) if knows_source else None) for snapshot in snapshots
    ]
    chosen = max(range(len(snapshots)), key=lambda i: (config.validator(evidence[i]), snapshots[i].step))
    known = len(test.labels) > 0
    timed = test.inputs if known else test.unknown.inputs
    predicted: list[NDArray[np.float64]] = []
    passes: list[float] = []
    # The first pass is slower than the others, so at least two are timed.
    for snapshot in snapshots if known and len(snapshots) > 1 else [snapshots[chosen]] * 2:
        started = time.perf_counter()
        predicted.append(predicted_by(snapshot, timed))
        passes.append(time.perf_counter() - started)
    scored = [scored_as(each, test.labels) for each in predicted] if known else []
    selection = {
        "validator": config.validator.name,
        "selected_step": snapshots[chosen].step,
        "selected": scored[chosen].main if known else None,
        "last": scored[-1].main if known else None,
        "oracle": max(scored, key=lambda each: each.score("auto")).main if known else None,
    }
    parts = [predicted[chosen]] if known else predicted[:1]
    if known and len(test.unknown_indices):
        parts.append(predicted_by(snapshots[chosen], test.unknown.inputs))
    values, labels, indices = _in_order(parts, test)
    predictions = scored_as(values, labels)
    metrics = _metrics(scored[chosen] if known else None, predictions, evidence[chosen].on_source, run)
    predictor = {name: snapshots[chosen].modules[name] for name in run.strategy.predictor}
    cost = {
        "parameters": sum(parameter.numel() for module in predictor.values() for parameter in module.parameters()),
        "milliseconds_per_image": 1000 * min(passes) / len(timed),
    }
    return Evaluation("ok", metrics, selection, predictions, indices, predictor, cost)


def _metrics(
    scored: Predictions | NumberPredictions | None,
    predictions: Predictions | NumberPredictions,
    on_source: Predictions | NumberPredictions | None,
    run: Run,
) -> dict[str, Any]:
    """The metrics of a task, by name; None for what needs labels that aren't there."""
    main = None if on_source is None else on_source.main
    if isinstance(predictions, NumberPredictions):
        names = {"target_rmse": "rmse", "target_mae": "mae", "target_r2": "r2"}
        of_target = {name: None if scored is None else getattr(scored, own) for name, own in names.items()}
        return {**of_target, "source_rmse": main}
    of_classes = target_metrics(scored, run.task.target.class_names) if isinstance(scored, Predictions) else {}
    return {**NO_METRICS, **of_classes, **label_free_scores(predictions.probabilities), "source_accuracy": main}


def _in_order(
    parts: Sequence[NDArray[np.float64]], test: TestData
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int64]]:
    """What is predicted of test examples and of those without a label, their labels and indices, in the domain's order.

    An example without a label has ``UNLABELLED``, or NaN among numbers.
    """
    indices = np.concatenate([test.indices, test.unknown_indices])
    none = np.nan if test.labels.dtype.kind == "f" else UNLABELLED
    labels = np.concatenate([test.labels, np.full(len(test.unknown_indices), none)])
    order = np.argsort(indices)
    return np.concatenate(parts)[order], labels[order], indices[order]


def _predicted(
    snapshot: Snapshot, inputs: Inputs, *, predictor: Sequence[str], device: str, scale: LabelScale | None
) -> NDArray[np.float64]:
    """Class probabilities (n, classes), or numbers (n,) in the labels' unit.

    Raises:
        Diverged: if one isn't finite.
    """
    outputs = predict(snapshot.modules, predictor, inputs, device)
    predicted = outputs.softmax(1).numpy() if scale is None else scale.restored(outputs[:, 0].numpy())
    if not np.isfinite(predicted).all():
        raise Diverged(f"the predictions aren't finite, of the snapshot at step {snapshot.step}")
    return predicted


def predict(modules: Mapping[str, nn.Module], predictor: Sequence[str], inputs: Inputs, device: str) -> Tensor:
    """Outputs (n, classes), or (n, 1) of a number, on the CPU in float64, of prepared inputs (n, …).

    Puts the modules named by ``predictor``, which run one after the other, in evaluation mode.
    """
    network = nn.Sequential(*(modules[name] for name in predictor)).eval()
    return in_chunks(network, as_tensor(inputs, device)).double().cpu()
