"""Random compositions of every group: each ends in a result or in a refusal of a line or two, never in a traceback."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jobs import Said

from transferlab.config_files import config_root

Train = Callable[..., Said]

LARGE = {"resnet50", "resnet101", "vgg16", "vit_b_16", "inception_v3", "densenet121", "alexnet"}
"""Backbones that take long at any size; one of them is tried for all."""

DATA = {
    "rendered_digits": ["{role}.examples=200"],
    "rendered_letters": ["{role}.examples=260"],
    "digits": [],
    "mnist5k": [],
    "mnist5k_m": [],
    "folder": [],
}


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (config_root() / group).glob("*.yaml"))


def _some(draw: st.DrawFn, *values: object) -> Any:
    return draw(st.sampled_from(values))


@st.composite
def jobs(draw: st.DrawFn) -> list[str]:
    """The arguments of `transferlab train`."""
    job = ["steps=3", "snapshots=1", "seeds=1", "log_every=2"]
    for role in ("source", "target"):
        name = _some(draw, *DATA)
        job += [f"{role}={name}", *(option.format(role=role) for option in DATA[name])]
    for group in ("strategy", "optimizer", "schedule", "validator"):
        job.append(f"{group}={_some(draw, *_names(group))}")
    backbone = _some(draw, *(name for name in _names("backbone") if name not in LARGE))
    loss = draw(st.none() | st.sampled_from(_names("loss")))
    bridge = draw(st.none() | st.sampled_from(["none", "mnist5k", "digits", "auto"]))
    job += [f"backbone={backbone}"]
    job += [f"loss={loss}"] if loss else []
    job += [f"bridge={bridge}"] if bridge else []
    values: dict[str, tuple[object, ...]] = {
        "target_labels_per_class": (0, 1, 3, "all", 500),
        "batch_size": (1, 2, 5, 16),
        "image.size": (4, 8, 16, 33),
        "image.channels": (1, 3, "auto"),
        "bottleneck": (1, 16),
        "batch_statistics": ("joint", "per_domain"),
        "precision": ("auto", "fp32", "bf16"),
        "steps": (1, 3),
        "snapshots": (1, 2, 7),
        "baselines": ("[]", "[scratch]", "[scratch,source_only]", "[target_oracle]"),
        "cache": ("true", "false"),
        "pretrained_lr_scale": (0.0, 1.0),
        "optimizer.lr": (0, 0.01, 1000.0, "auto", -1),
        "loss.weight": (0, 0.5, 1e6),
    }
    for key in draw(st.lists(st.sampled_from(sorted(values)), max_size=4, unique=True)):
        job.append(f"{key}={_some(draw, *values[key])}")
    return job


def _ends_well(transferlab: Train, job: list[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        said = transferlab("train", *job, f"output_root={root}")
        logs = "".join(path.read_text() for path in Path(root).glob("runs/**/train.log"))
    assert "Traceback" not in said.err + said.out + logs, logs or said.err
    assert said.code in (0, 2), said.err
    if said.code == 2:
        assert 1 <= len(said.err.strip().splitlines()) <= 3, said.err
        assert said.err.startswith("transferlab: "), said.err
    else:
        assert "accuracy" in said.out


FIXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "phases": [Phase.generate]}


@given(jobs())
@settings(max_examples=30, derandomize=True, **FIXED)
def test_thirty_compositions(transferlab: Train, job: list[str]) -> None:
    _ends_well(transferlab, job)


@pytest.mark.nightly
@given(jobs())
@settings(max_examples=300, **FIXED)
def test_three_hundred_compositions(transferlab: Train, job: list[str]) -> None:
    _ends_well(transferlab, job)
