"""One result.json: its required fields, its checksum, and the values that a table needs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transferlab.comparison.criterion import METRICS
from transferlab.system.files import json_digest, known_digest, read_ordinary

SCHEMA_VERSION = 1

FIELDS: dict[str, tuple[type, ...]] = {
    "run_id": (str,),
    "comparison_id": (str,),
    "status": (str,),
    "source": (str,),
    "target": (str,),
    "backbone": (str,),
    "strategy": (str,),
    "variant": (str, type(None)),
    "loss": (str, type(None)),
    "seed": (int,),
    "target_labels_per_class": (int, str, type(None)),
}
"""The top-level fields that a row needs, and the JSON types each may have; null for a text reads as empty."""

OPTIONAL: dict[str, Any] = {
    **{"target_labels": None, "setting": "", "changes": None, "shared_changes": None},
    **{
        "selection": {},
        "warnings": [],
        "environment": {},
        "config": {},
        "files": {},
        "test_set": {},
        "label_scale": {},
    },
}
"""Further fields, and what a result without them counts as having."""

SECTIONS = ("metrics", "timing")
"""Groups of numbers that a row needs."""

MAX_BYTES = 2**26
"""Largest result file that is read; a real file has some thousand bytes."""

MEASURES = (*(metric.measure for metric in METRICS.values()), "target_confidence", "target_entropy")
"""The metrics that a table needs. A finished run without labelled test examples has no accuracy."""

OF_ALL_CLASSES: dict[str, Callable[[list[float]], float]] = {
    "target_balanced_accuracy": lambda accuracies: sum(accuracies) / len(accuracies),
    "target_worst_class": min,
}
"""Metrics that are read from the accuracies of the classes."""

COSTS = ("parameters", "milliseconds_per_image")


def sealed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A result as it is written: with the schema version, and a checksum of the whole.

    Raises:
        ValueError: if the fields aren't those of a result.
    """
    known = {*FIELDS, *OPTIONAL, *SECTIONS}
    if wrong := known ^ fields.keys():
        raise ValueError(f"a result has each of its fields and no other: {', '.join(sorted(wrong))}")
    result = {"schema_version": SCHEMA_VERSION, **fields}
    return result | {"sha256": json_digest(result)}


def is_usable(path: Path, about: Mapping[str, Any]) -> bool:
    """Whether a result file exists, whole and undamaged, and the files whose checksums it holds are undamaged.

    A file that is gone counts as removed on purpose: weights take room.

    Args:
        path: the file.
        about: fields with the values that the wanted result has.
    """
    try:
        row = read_result(path)
        if not _is_of(row, about):
            return False
        beside = {path.with_name(name): checksum for name, checksum in row["files"].items()}
        return all(known_digest(file) == checksum for file, checksum in beside.items() if file.exists())
    except (ValueError, OSError):
        return False


def is_another(path: Path, about: Mapping[str, Any]) -> bool:
    """Whether a result file is good, and of another run than the one with these fields."""
    try:
        return not _is_of(read_result(path), about)
    except (ValueError, OSError):
        return False


def _is_of(row: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in about.items())


def files_of(path: Path) -> dict[str, str]:
    """The checksums of the files beside a result, by name; empty if the result can't be used."""
    try:
        files: dict[str, str] = read_result(path)["files"]
    except (ValueError, OSError):
        return {}
    return {name: checksum for name, checksum in files.items() if name == Path(name).name}


def read_result(path: Path) -> dict[str, Any]:
    """One file as a row: the top-level fields and the other columns of ``read_results``.

    Raises:
        ValueError: with the reason why the file can't be used.
        OSError: if it can't be read.
    """
    try:
        result = json.loads(read_ordinary(path, MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON, perhaps cut off ({error})") from error
    if not isinstance(result, dict):
        raise ValueError("not a JSON object")
    if result.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {result.get('schema_version')!r}, this program reads {SCHEMA_VERSION}")
    if ("sha256" in result or "files" in result) and result.get("sha256") != json_digest(result):
        raise ValueError("its contents don't match its sha256: damaged or edited")
    row = {name: _field(result, name, types) for name, types in FIELDS.items()}
    if row["status"] not in ("ok", "diverged"):
        raise ValueError(f"status is {row['status']!r}, not ok or diverged")
    row |= {name: _optional(result, name) for name in OPTIONAL if name not in ("warnings", "target_labels")}
    row["target_labels"] = _field({"target_labels": None, **result}, "target_labels", (int, str, type(None)))
    for budget in ("target_labels_per_class", "target_labels"):
        if isinstance(row[budget], str) and row[budget] != "all":
            raise ValueError(f"{budget} is {row[budget]!r}, not a number or 'all'")
    if row["target_labels_per_class"] is None and row["target_labels"] is None:
        raise ValueError("target_labels_per_class is null, and there are no target_labels")
    return row | {
        "variant": row["variant"] or "",
        "loss": row["loss"] or "",
        "warned": _warned(result),
        **{name: _measure(result, name) if row["status"] == "ok" else math.nan for name in MEASURES},
        "seconds": _number(result, "timing", "seconds"),
        **{name: _number(result, "timing", name) if name in result["timing"] else math.nan for name in COSTS},
    }


def _warned(result: dict[str, Any]) -> tuple[str, ...]:
    """The kinds of the result's warnings, sorted, without repeats; empty if it has none."""
    warnings = result.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(warning, dict) for warning in warnings):
        raise ValueError(f"warnings is {warnings!r}, not a list of objects")
    return tuple(sorted({str(warning.get("kind")) for warning in warnings}))


def _optional(result: dict[str, Any], name: str) -> Any:
    """A field that may be missing; ``config`` and the changes may be null too."""
    absent = OPTIONAL[name]
    null = (type(None),) if name in ("config", "changes", "shared_changes") else ()
    value = _field({name: absent, **result}, name, (type({} if absent is None else absent), *null))
    return absent if value is None else value


def _field(result: dict[str, Any], name: str, types: tuple[type, ...]) -> Any:
    if name not in result:
        raise ValueError(f"{name} is missing")
    # Not isinstance: JSON's true would pass for an integer.
    if type(result[name]) not in types:
        raise ValueError(f"{name} is {result[name]!r}, not {' or '.join(kind.__name__ for kind in types)}")
    if isinstance(result[name], str):
        result[name].encode("utf-8")  # half a surrogate could be written to no table
    return result[name]


def _measure(result: dict[str, Any], name: str) -> float:
    """A metric of a finished run; NaN where it has none. Without a better word, there has to be an accuracy."""
    metrics = _field(result, "metrics", (dict,))
    if name in OF_ALL_CLASSES and metrics.get(name) is None:
        return _of_classes(metrics, OF_ALL_CLASSES[name])
    unscored = "classes" in result.get("test_set", {}) or "target_rmse" in metrics
    if metrics.get(name) is None and (name != "target_accuracy" or unscored):
        return math.nan
    unlimited = name in ("target_entropy", "target_rmse", "target_mae")
    lowest = -math.inf if name == "target_r2" else 0
    return _number(result, "metrics", name, math.inf if unlimited else 1, lowest)


def _of_classes(metrics: dict[str, Any], function: Callable[[list[float]], float]) -> float:
    """A function of the accuracies of all classes that have test examples; NaN if there are none."""
    by_class = metrics.get("per_class_accuracy")
    known = [value for value in by_class.values() if value is not None] if isinstance(by_class, dict) else []
    if not all(isinstance(value, int | float) and 0 <= value <= 1 for value in known):
        raise ValueError("metrics.per_class_accuracy has values that aren't between 0 and 1")
    return function(known) if known else math.nan


def _number(result: dict[str, Any], section: str, name: str, highest: float = math.inf, lowest: float = 0) -> float:
    number = _field(_field(result, section, (dict,)), name, (int, float))
    if not (max(lowest, -sys.float_info.max) <= number <= min(highest, sys.float_info.max)):
        raise ValueError(f"{section}.{name} is {number!r}, not between {lowest} and {highest}")
    return float(number)
