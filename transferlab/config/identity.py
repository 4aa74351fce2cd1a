"""Identities of runs, comparisons and stages: hashes of everything that decides their results."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transferlab.config.component import Component
from transferlab.config.schema import TrainConfig
from transferlab.config.signatures import OWN
from transferlab.config.weights_path import PACKAGED, weights_path
from transferlab.system.files import known_digest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ENGINE_VERSION = 5
"""Raised whenever the numbers that one config gives change, or the way in which identities are made."""

NOT_IN_RUN_ID = frozenset(
    {
        "seeds",
        "baseline_seeds",
        "max_seeds",
        "max_runs",
        "device",
        "deterministic",
        "parallel",
        "log_every",
        "baselines",
        "margin",
        "margin_unit",
        "metric",
        "task",
        "fail_on",
        "output_root",
        "overwrite",
        "allow_packages",
        "cache",
        "cache_gigabytes",
        "checkpoint_seconds",
    }
)
"""Keys that change no result of one run. The seed names a folder of its own; numbers differ a little between
devices, which the environment in result.json records."""

INPUT_KEYS = frozenset({"image", "signal", "tokens", "standardise"})
"""Keys of kinds of input: what the run's own kind makes of its key counts instead (``Data.inputs``)."""

OPTIONAL_KEYS = frozenset({"target_labels", "regression", "class_weight"})
"""Keys that count only where they aren't None: those of numbers are where labels are classes."""

ROW_KEYS = frozenset({"strategy", "loss", "bridge"})
"""Keys in which the rows of one comparison may differ."""


NOT_IN_STAGE_KEY = (
    NOT_IN_RUN_ID
    | INPUT_KEYS
    | {
        *(
            "source",
            "target",
            "bridge",
            "target_labels_per_class",
            "target_labels",
        ),  # the examples of its streams count, by content
        *("strategy", "loss"),  # the description of the stage says what is left of them
        "backbone",  # the blueprint holds it, as the strategy begins with it
        "validator",  # looks at what a stage leaves
        *("device", "precision", "threads"),  # as resolved, in what the machine is
    }
)
"""Keys left out of a stage's key: they don't change its result, or are in the key in another form."""


def start_key(
    config: TrainConfig, blueprints: Sequence[DataclassInstance], seed: int, machine: Mapping[str, Any]
) -> str:
    """The key of a run's modules before its first stage.

    Args:
        config: checked.
        blueprints: what modules are built for.
        seed: the run's.
        machine: type of device, resolved precision, threads, version of torch.
    """
    values = {key: value for key, value in asdict(config).items() if key not in _left_out(config, NOT_IN_STAGE_KEY)}
    built, packages = [asdict(blueprint) for blueprint in blueprints], tuple(config.allow_packages)
    return _digest(_by_content({**values, "built": built, "seed": seed, **machine, "code": code_digest(packages)}), 40)


def stage_key(before: str, stage: DataclassInstance, examples: Mapping[str, str]) -> str:
    """The key of modules and estimates after a stage.

    Args:
        before: the key before the stage.
        stage: its description.
        examples: digests of what its streams hold.
    """
    described = {type(stage).__name__: asdict(stage)}
    return _digest(_by_content({"before": before, "stage": described, "examples": examples}), 40)


@cache
def code_digest(packages: tuple[str, ...] = ()) -> str:
    """SHA-256 of all source files of this package and of ``packages``: results of older code aren't reused."""
    digest = hashlib.sha256()
    for root in [Path(__file__).parent.parent, *(path for package in packages for path in _source_paths(package))]:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def _source_paths(package: str) -> list[Path]:
    """The folders of a package, or the file of a module; nothing is imported."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    folders = spec.submodule_search_locations
    return [Path(path) for path in (folders if folders is not None else [spec.origin]) if path]


@dataclass(frozen=True)
class Data:
    """What the config can't say of a run's data.

    Attributes:
        fingerprints: of source and target, then of the bridges in the order in which they are crossed.
        inputs: what all inputs are made into, by the config's key.
    """

    fingerprints: tuple[str, ...]
    inputs: Mapping[str, Any]


def run_id(config: TrainConfig, data: Data, revision: int = 0) -> str:
    """Ten hexadecimal digits: a hash of all that decides one run's results; data and files of weights by content.

    Args:
        config: checked.
        data: of the run.
        revision: the strategy's; 0 isn't hashed, so that identities older than revisions stay.
    """
    return _digest(_relevant(config, data) | ({"revision": revision} if revision else {}))


def comparison_id(config: TrainConfig, data: Data) -> str:
    """Ten hexadecimal digits, a hash of what the rows of a comparison share: all but strategy, loss and bridges.

    The label budget counts as declared, also for ``target_oracle``, which reads beyond it.
    """
    relevant = _relevant(config, data)
    return _digest({key: value for key, value in relevant.items() if key not in ROW_KEYS})


def _relevant(config: TrainConfig, data: Data) -> dict[str, Any]:
    left_out = _left_out(config, NOT_IN_RUN_ID | {"bridge", *INPUT_KEYS})
    keys = [field.name for field in fields(config) if field.name not in left_out]
    values = {key: _identifying(getattr(config, key)) for key in keys}
    source, target, *bridges = data.fingerprints
    crossed = {"bridge": bridges} if bridges else {}  # a key that isn't there leaves the identities of other runs alone
    domains = {"source": [config.source.name, source], "target": [config.target.name, target]}  # tables show the names
    return _by_content(values) | {**data.inputs} | domains | {"engine": ENGINE_VERSION} | crossed


def _left_out(config: TrainConfig, keys: frozenset[str]) -> frozenset[str]:
    """``keys``, and those of ``OPTIONAL_KEYS`` that are None."""
    return keys | {key for key in OPTIONAL_KEYS if getattr(config, key) is None}


def _identifying(value: Any) -> Any:
    """``value`` as JSON, with components of ours by function or class name, so that moving a file renames no run.

    Their config key says of which kind they are, and within a kind no two have one name (a test holds that). Others
    keep their dotted path.
    """
    if isinstance(value, Component):
        of_ours = value.target.startswith(f"{OWN}.")
        target = value.target.rpartition(".")[2] if of_ours else value.target
        return {"target": target, "options": _identifying(value.options), "name": value.name}
    if is_dataclass(value):
        return {field.name: _identifying(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _identifying(inner) for key, inner in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_identifying(inner) for inner in cast(list[Any], value)]
    return value


def _by_content(value: Any, key: str | None = None) -> Any:
    """``value`` with every option in it that stands for a file replaced by what the file holds.

    What a package brings counts as its published file does, installed or not, for no other is read under that name.
    """
    if isinstance(value, dict):
        return {name: _by_content(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_by_content(inner, key) for inner in value]
    if isinstance(value, str):
        if key == "weights" and value in PACKAGED:
            return PACKAGED[value]
        path = weights_path(value) if key == "weights" else Path(value) if Path(value).suffix else None
        try:
            return known_digest(path) if path and path.is_file() else value
        except OSError:  # reported where the file is read
            return value
    return value


def _digest(values: dict[str, Any], length: int = 10) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:length]


@cache
def commit() -> dict[str, Any]:
    """The git commit of this package's checkout, and whether it was changed since; both None where there is none."""
    root = Path(__file__).parent.parent
    commands = [["rev-parse", "HEAD"], ["status", "--porcelain", "--", str(root)]]
    try:
        head, changed = (
            subprocess.check_output(["git", "-C", str(root), *words], stderr=subprocess.DEVNULL) for words in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": head.decode().strip(), "dirty": bool(changed.strip())}
