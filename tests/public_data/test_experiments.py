"""The experiments on benchmarks compose, and start on made data of the right layout."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import made_benchmarks as made
import pytest
from jobs import Said, results

from transferlab.config.jobs import compose_train
from transferlab.config.search_path import config_root
from transferlab.domains.benchmark_layouts import BENCHMARKS
from transferlab.domains.torchvision_files import FILES_OF_SETS

DOCUMENT = (config_root().parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")

COMMANDS = [
    shlex.split(line, comments=True)[2:]
    for block in re.findall(r"^```\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("transferlab train")
]

SHORT = [
    *("strategy=dann", "steps=2", "snapshots=1", "batch_size=8", "seeds=1", "baselines=[]"),
    *("bottleneck=16", "target_labels_per_class=1"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments)[:60])
def test_every_documented_command_composes(arguments: list[str]) -> None:
    assert compose_train(arguments)


def test_every_benchmark_has_a_documented_command() -> None:
    named = {word.partition("=")[2] for words in COMMANDS for word in words if word.startswith(("source=", "target="))}
    assert FILES_OF_SETS.keys() | BENCHMARKS.keys() <= named


@pytest.mark.parametrize(
    ("pair", "channels"),
    [
        ([], 1),
        (["source=usps", "target=mnist", "optimizer.lr=0.1"], 1),
        (["source=svhn", "target=mnist", "backbone=dtn", "image.size=32", "optimizer.lr=0.03"], 3),
    ],
)
def test_the_digits_of_tllib(
    tmp_path: Path, transferlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, pair: list[str], channels: int
) -> None:
    jobs = compose_train(["experiment=digits_tllib", *pair])
    assert len(jobs) == 9
    config = jobs[0][0].config
    assert (config.steps, config.batch_size, config.image.size) == (50_000, 128, 28 if channels == 1 else 32)
    made.idx_set(tmp_path / "MNIST" / "raw")
    made.usps(tmp_path)
    made.svhn(tmp_path, monkeypatch)
    places = [f"{role}.root={tmp_path}" for role in ("source", "target")]
    done = transferlab(
        "train", "experiment=digits_tllib", *pair, *places, *SHORT, "parallel=1", f"output_root={tmp_path / 'out'}"
    )
    assert done.code == 0, done.err
    (result,) = results(tmp_path / "out")
    assert result["metrics"]


def test_office31(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    config = compose_train(["experiment=office31"])[0][0].config
    assert (config.target.name, config.backbone.name, config.image.size) == ("webcam", "resnet50", 224)
    assert config.backbone.options["weights"] == "IMAGENET1K_V1"
    for number, domain in enumerate(("amazon", "webcam")):
        made.class_folders(tmp_path / domain / "images", ("bike", "mug"), first=50 * number)
    places = [f"{role}.root={tmp_path}" for role in ("source", "target")]
    small = ["backbone.weights=null", "image.size=32"]
    done = transferlab(
        "train", "experiment=office31", *places, *small, *SHORT, "parallel=1", f"output_root={tmp_path / 'out'}"
    )
    assert done.code == 0, done.err
    assert (tmp_path / "out" / "runs" / "amazon-to-webcam" / "resnet50" / "dann").is_dir()


def test_mnist_m(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    done = transferlab("train", "experiment=mnist_m_dann", *SHORT, f"output_root={tmp_path}")
    assert done.code == 0, done.err
    assert (tmp_path / "runs" / "mnist5k-to-mnist5k_m").is_dir()
