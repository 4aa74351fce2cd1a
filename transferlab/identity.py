"""What makes two runs the same run, and two rows rows of one comparison."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from transferlab.schema import TrainConfig

ENGINE = 1
"""Raised whenever the numbers that one config gives change."""

IRRELEVANT = frozenset(
    {
        "seeds",
        "device",
        "log_every",
        "baselines",
        "margin",
        "fail_on",
        "output_root",
        "overwrite",
        "allow_packages",
    }
)
"""Keys that change no result of one run. The seed names a folder of its own; numbers differ a little between
devices, which the environment in result.json records."""

OF_THE_STRATEGY = frozenset({"strategy", "loss", "bridge"})
"""Keys in which the rows of one comparison may differ."""


def run_id(config: TrainConfig, fingerprints: tuple[str, ...]) -> str:
    """Ten hexadecimal digits of everything that decides one run's results, data by content.

    Args:
        config: checked.
        fingerprints: of source and target, then of the bridges in the order in which they are crossed.
    """
    return _digest(_relevant(config, fingerprints))


def comparison_id(config: TrainConfig, fingerprints: tuple[str, ...]) -> str:
    """The same of all that the rows of one comparison share: all but strategy, adaptation loss, bridges.

    The label budget counts as declared, also for ``target_oracle``, which reads beyond it.
    """
    relevant = _relevant(config, fingerprints)
    return _digest({key: value for key, value in relevant.items() if key not in OF_THE_STRATEGY})


def _relevant(config: TrainConfig, fingerprints: tuple[str, ...]) -> dict[str, Any]:
    values = {key: value for key, value in asdict(config).items() if key not in IRRELEVANT | {"bridge"}}
    source, target, *bridges = fingerprints
    crossed = {"bridge": bridges} if bridges else {}  # a key that isn't there leaves the identities of other runs alone
    return values | {"source": source, "target": target, "engine": ENGINE} | crossed


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
