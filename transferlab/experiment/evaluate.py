"""A run's outcome: chooses a snapshot by the validator, and evaluates it on the target."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from transferlab.config.schema import ResolvedConfig
from transferlab.domains.splits import TestData, TrainingData
from transferlab.errors import Diverged
from transferlab.evaluation.metrics import Predictions, target_metrics
from transferlab.evaluation.validators import Evidence
from transferlab.experiment.run import Run
from transferlab.inputs.lazy import Inputs
from transferlab.training.fit import Snapshot
from transferlab.training.streams import as_tensor, in_chunks

NO_METRICS: dict[str, None] = dict.fromkeys(
    (
        *("target_accuracy", "target_macro_f1", "target_ece", "target_ari", "target_nmi"),
        *("per_class_accuracy", "source_accuracy"),
    )
)


@dataclass(frozen=True)
class Evaluation:
    """The parts of result.json that training decides.

    Attributes:
        status: ``diverged`` where a loss stopped being finite; then there are no metrics.
        metrics: the chosen snapshot's on the target's test split, fractions in [0, 1].
        selection: which snapshot was chosen, by what, and the target accuracies it was chosen among.
        predictions: the chosen snapshot's on the target's test split.
        predictor: the modules of the chosen snapshot that predict.
        cost: ``parameters`` of the predictor, and ``milliseconds_per_image``, the fastest pass over the test split.
    """

    status: Literal["ok", "diverged"]
    metrics: Mapping[str, Any]
    selection: Mapping[str, Any]
    predictions: Predictions | None = None
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
    read = "source" in run.strategy.reads(config.loss) and not run.strategy.source_free
    knows_source = read and run.task.same_classes and len(held_out.labels) > 0

    def probabilities(snapshot: Snapshot, inputs: Inputs) -> Tensor:
        predicted = predict(snapshot.modules, run.strategy.predictor, inputs, config.device)
        if not predicted.isfinite().all():
            raise Diverged(f"the predictions aren't finite, of the snapshot at step {snapshot.step}")
        return predicted

    evidence = [
        Evidence(
            snapshot.step,
            partial(probabilities, snapshot, held_out.inputs) if knows_source else None,
            torch.from_numpy(held_out.labels),
        )
        for snapshot in snapshots
    ]
    chosen = max(range(len(snapshots)), key=lambda i: (config.validator(evidence[i]), snapshots[i].step))
    predictions: list[Predictions] = []
    passes: list[float] = []
    # The first pass is slower than the others, so at least two are timed.
    for snapshot in snapshots if len(snapshots) > 1 else [*snapshots, *snapshots]:
        started = time.perf_counter()
        predictions.append(Predictions(probabilities(snapshot, test.inputs).numpy(), test.labels))
        passes.append(time.perf_counter() - started)
    on_source = evidence[chosen].source_probabilities
    source_accuracy = None if on_source is None else Predictions(on_source.numpy(), held_out.labels).accuracy
    selection = {
        "validator": config.validator.name,
        "selected_step": snapshots[chosen].step,
        "selected": predictions[chosen].accuracy,
        "last": predictions[-1].accuracy,
        "oracle": max(each.accuracy for each in predictions),
    }
    metrics = target_metrics(predictions[chosen], run.task.target.class_names) | {"source_accuracy": source_accuracy}
    predictor = {name: snapshots[chosen].modules[name] for name in run.strategy.predictor}
    cost = {
        "parameters": sum(parameter.numel() for module in predictor.values() for parameter in module.parameters()),
        "milliseconds_per_image": 1000 * min(passes) / len(test.labels),
    }
    return Evaluation("ok", metrics, selection, predictions[chosen], predictor, cost)


def predict(modules: Mapping[str, nn.Module], predictor: Sequence[str], inputs: Inputs, device: str) -> Tensor:
    """Class probabilities (n, classes), on the CPU in float64, of prepared inputs (n, …).

    Puts the modules named by ``predictor``, which run one after the other, in evaluation mode.
    """
    network = nn.Sequential(*(modules[name] for name in predictor)).eval()
    return in_chunks(network, as_tensor(inputs, device)).double().softmax(1).cpu()
