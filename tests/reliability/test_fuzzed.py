"""Random compositions of every group: each ends in a result or in a refusal of a line or two, never in a traceback."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jobs import Said
from made_folders import fill
from omegaconf import OmegaConf

from transferlab.config.search_path import config_root
from transferlab.config.signatures import options_of

Train = Callable[..., Said]

LARGE = {"resnet50", "resnet101", "vgg16", "vit_b_16", "inception_v3", "densenet121", "alexnet"}
"""Backbones that take long at any size, which are left out."""

SLOW = {"resnet18"}
"""Which takes a quarter of a minute a run, and so is there at night alone."""

DATA = {
    "rendered_digits": ["{role}.examples=200"],
    "rendered_letters": ["{role}.examples=260"],
    "digits": [],
    "mnist5k": [],
    "mnist5k_m": [],
    "folder": ["{role}.path={folder}", "image.channels=3"],
}
DIGITS = [name for name in DATA if name != "rendered_letters"]
BRIDGES = ["bridge=mnist5k", "bridge=auto bridge.pool=[mnist5k,digits]", "bridge.path=[mnist5k,digits]", "bridge=none"]

VALUES: dict[str, tuple[object, ...]] = {
    "target_labels_per_class": (0, 1, 3, "all"),
    "batch_size": (2, 5, 16),
    "image.size": (8, 16, 33),
    "image.channels": (3, "auto"),
    "bottleneck": (1, 16),
    "batch_statistics": ("joint", "per_domain"),
    "precision": ("auto", "fp32", "bf16"),
    "steps": (1, 3),
    "snapshots": (1, 2, 7),
    "baselines": ("[]", "[scratch]", "[scratch,source_only]", "[target_oracle]"),
    "cache": ("true", "false"),
    "deterministic": ("true", "false"),
    "pretrained_lr_scale": (0.0, 1.0),
    "optimizer.lr": (0, 0.01, 1000.0),
}
WRONG: dict[str, tuple[object, ...]] = {
    "target_labels_per_class": (500, -1),
    "batch_size": (0, 1),
    "image.size": (1, 4),
    "image.channels": (2,),
    "optimizer.lr": (-1, "fast", "auto"),
    "loss": ("mmd", "dann", "nothing"),
    "loss.weight": (1e6, -1, "much"),
    "bridge": ("mnist5k", "auto"),
    "source": ("multi", "nothing"),
    "strategy.nothing": (1,),
}


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (config_root() / group).glob("*.yaml"))


def _options(strategy: str) -> dict[str, tuple[object, ...]]:
    """Those of a strategy that have a few values, and which; of those that are another's with a loss, none."""
    target = OmegaConf.load(config_root() / "strategy" / f"{strategy}.yaml").get("_target_")
    types = {name: option.type for name, option in options_of(target, "strategy").items()} if target else {}
    words = {name: get_args(one) for name, one in types.items() if get_origin(one) is Literal}
    return words | {name: ("true", "false") for name, one in types.items() if one is bool}


@st.composite
def jobs(draw: st.DrawFn, folder: str, without: set[str]) -> list[str]:
    """The arguments of `transferlab train`; most of what is drawn fits together."""

    def some(values: Iterable[object]) -> Any:
        return draw(st.sampled_from(list(values)))

    job = ["steps=3", "snapshots=1", "seeds=1", "log_every=2"]
    for role in ("source", "target"):
        name = some(DIGITS if role == "target" else [*DIGITS, "multi", "rendered_letters"])
        if name == "multi":
            job += ["source=multi", "source.domains=[mnist5k,rendered_digits]"]
            continue
        job += [f"{role}={name}", *(option.format(role=role, folder=folder) for option in DATA[name])]
    for group in ("optimizer", "schedule", "validator"):
        job.append(f"{group}={some(_names(group))}")
    job.append(f"backbone={some(name for name in _names('backbone') if name not in LARGE | without)}")
    strategy = some(_names("strategy"))
    job.append(f"strategy={strategy}")
    job += [f"loss={some(name for name in _names('loss') if name != 'none')}"] if strategy == "adapt" else []
    job += some(BRIDGES).split() if strategy == "transitive" else []
    for options, most in ((VALUES, 4), ({f"strategy.{name}": those for name, those in _options(strategy).items()}, 2)):
        keys = draw(st.lists(st.sampled_from(sorted(options)), max_size=most, unique=True)) if options else []
        job += [f"{key}={some(options[key])}" for key in keys]
    if some([False] * 5 + [True]):
        key = some(sorted(WRONG))
        job.append(f"{key}={some(WRONG[key])}")
    return job


def _end(transferlab: Train, job: list[str]) -> str:
    """How it ended: with a result or a refusal; with anything else the test fails."""
    with tempfile.TemporaryDirectory() as root:
        said = transferlab("train", *job, f"output_root={root}")
        logs = "".join(path.read_text() for path in Path(root).glob("runs/**/train.log"))
    assert "Traceback" not in said.err + said.out + logs, logs or said.err
    assert said.code in (0, 2), said.err
    if said.code == 0:
        assert "accuracy" in said.out
        return "result"
    assert 1 <= len(said.err.strip().splitlines()) <= 3, said.err
    assert said.err.startswith("transferlab: "), said.err
    return "refusal"


FIXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "phases": [Phase.generate]}


def _all_end_well(transferlab: Train, tmp_path: Path, count: int, without: set[str], **how: Any) -> None:
    ends: dict[tuple[str, ...], str] = {}
    folder = fill(tmp_path / "photos", "0123456789")

    @given(jobs(str(folder), without))
    @settings(max_examples=count, **FIXED, **how)
    def each(job: list[str]) -> None:
        ends[tuple(job)] = _end(transferlab, job)

    each()
    found = Counter(ends.values())
    print(f"{len(ends)} different compositions: {found['result']} results, {found['refusal']} refusals")
    assert found["result"] > count / 3, "enough of what is tried should get past the checks"


def test_thirty_compositions(transferlab: Train, tmp_path: Path) -> None:
    _all_end_well(transferlab, tmp_path, 32, SLOW, derandomize=True)


@pytest.mark.nightly
def test_three_hundred_compositions(transferlab: Train, tmp_path: Path) -> None:
    _all_end_well(transferlab, tmp_path, 320, set())
