"""What a run leaves in its folder: its config, its predictor, its predictions, and its result."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from safetensors.torch import save

from transferlab.comparison.result_file import sealed
from transferlab.comparison.test_set import classes_packed, packed
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.splits import LabelScale, TestData
from transferlab.evaluation.metrics import NumberPredictions, Predictions
from transferlab.experiment.evaluate import Evaluation
from transferlab.experiment.run import Run
from transferlab.models.network import Writes
from transferlab.system.files import replaced, write_whole
from transferlab.text import csv_cell
from transferlab.training.devices import environment


def write_predictor(run: Run, outcome: Evaluation) -> list[str]:
    """Writes the config, and the predictor if there is one; returns the names of the files."""
    write_whole(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain(run.config))))
    if outcome.predictor is None or outcome.predictions is None:
        return ["config.yaml"]
    _write_predictions(run, outcome.predictions, outcome.indices)
    weights = {
        f"{name}.{key}": value.cpu().contiguous()
        for name, module in outcome.predictor.items()
        for key, value in module.state_dict().items()
    }
    with replaced(run.folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(weights))
    classes = run.task.source.class_names, run.task.target.class_names
    writers = [module for module in outcome.predictor.values() if isinstance(module, Writes)]
    written = [writer.write(run.folder, *classes) for writer in writers]
    return ["config.yaml", "predictions.csv", "model.safetensors", *chain.from_iterable(written)]


def result_of(
    run: Run,
    config: ResolvedConfig,
    outcome: Evaluation,
    timing: Mapping[str, Any],
    warnings: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
    test: TestData,
    scale: LabelScale | None,
) -> dict[str, Any]:
    """The content of result.json.

    Args:
        run: that is done.
        config: the run's, on this machine.
        outcome: of its evaluation.
        timing: seconds, updates and what the predictor costs.
        warnings: of its training.
        files: checksums of the other files, by name.
        test: what the outcome was evaluated on.
        scale: of labels that are numbers.
    """
    return sealed(
        {
            **run.about,
            "status": outcome.status,
            "variant": run.row.variant,
            "changes": run.row.shown_changes,
            "setting": run.row.setting,
            "shared_changes": dict(run.row.shared_changes),
            "loss": config.loss.name if config.loss else "none",
            "metrics": dict(outcome.metrics),
            "selection": dict(outcome.selection),
            "warnings": [dict(warning) for warning in warnings],
            "timing": dict(timing),
            "environment": environment(config),
            "config": plain(run.config),
            "files": dict(files),
            "test_set": _test_set(outcome, test),
            "label_scale": {} if scale is None else asdict(scale),
        }
    )


def _test_set(outcome: Evaluation, test: TestData) -> dict[str, Any]:
    """Which test examples were classified correctly, or how all were, if none has a label.

    Empty for a diverged run, and where numbers are predicted.
    """
    predictions = outcome.predictions
    if predictions is None or isinstance(predictions, NumberPredictions):
        return {}
    if not len(test.labels):
        return classes_packed(predictions.classes, outcome.indices)
    known = predictions.labels != UNLABELLED
    return packed((predictions.classes == predictions.labels)[known], test.indices, test.labels)


def _write_predictions(run: Run, predictions: Predictions | NumberPredictions, indices: NDArray[np.int64]) -> None:
    """Writes predictions.csv: of each target test example, and of each that has no label, a row.

    Its index in the domain, its label, empty where it has none, prediction and confidence (empty where numbers are
    predicted), and its name where examples have names.
    """
    names = run.task.target.names
    rows = _of_numbers(predictions) if isinstance(predictions, NumberPredictions) else _of_classes(predictions, run)
    with replaced(run.folder / "predictions.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "label", "prediction", "confidence", *([] if names is None else ["name"])])
        for index, row in zip(indices, rows, strict=True):
            writer.writerow([index, *row, *([] if names is None else [csv_cell(str(names[index]))])])


def _of_classes(predictions: Predictions, run: Run) -> Iterator[tuple[str, str, str]]:
    classes = [*(csv_cell(name) for name in run.task.target.class_names), ""]  # UNLABELLED is the last of them
    confidence = predictions.probabilities.max(axis=1)
    for label, guess, sure in zip(predictions.labels, predictions.classes, confidence, strict=True):
        yield classes[label], classes[guess], f"{sure:.6f}"


def _of_numbers(predictions: NumberPredictions) -> Iterator[tuple[str, str, str]]:
    for label, value in zip(predictions.labels.tolist(), predictions.values.tolist(), strict=True):
        yield "" if math.isnan(label) else f"{label:.9g}", f"{value:.9g}", ""


def plain(config: TrainConfig) -> dict[str, Any]:
    """The config as config.yaml and result.json show it: the keys and nesting of the command line."""
    node = asdict(config)
    loss = node["loss"]
    source = [_flat(domain) for domain in node["source"]["domains"]]
    node["source"] = source[0] if len(source) == 1 else _listed(config.source.name, "domains", source)
    node["bridge"] = _listed("none", "path", [_flat(domain) for domain in node["bridge"]["path"] or ()])
    if config.takes_bridges:
        node["strategy"]["options"]["bridges"] = None  # counted from the path
    node["loss"] = {"name": "none"} if loss is None else {**_flat(loss["component"]), "weight": loss["weight"]}
    return {key: _flat(value) if _is_component(value) else value for key, value in node.items()}


def _listed(name: str, key: str, domains: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, key: [domain["name"] for domain in domains], **{domain["name"]: domain for domain in domains}}


def _flat(component: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: _flat(value) if _is_component(value) else value for name, value in component["options"].items()}
    return {"_target_": component["target"], "name": component["name"], **options}


def _is_component(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"target", "options", "name"}
