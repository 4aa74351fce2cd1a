"""Random command lines: each ends with exit code 0 or 2, in lines of ours, and never in a traceback."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import TINY, Said
from omegaconf import OmegaConf

from transferlab.config.search_path import config_root

Train = Callable[..., Said]

VALUES = [
    *("5", "-1", "0", "1e400", "nan", "inf", ".5", "007", "1_000", "0x10", "true", "null", "yes", "None", "~", "''"),
    *('"5"', "'a b'", '"', "'", "[", "]", "[]", "[1,2]", "[a,b]", "[[1]]", "{}", "{a:1}", "{a", "(1)", "a(", "f(x)"),
    *("a,b", "1,2,3", "range(1,3)", "glob(*)", "choice(1,2)", "interval(0,1)", "sort(1,2)", "int(x)", "str(5)"),
    *("${nope}", "${steps}", "${", "${}", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "${oc.decode:[}", "${now:%Y}"),
    *("été", "数据", "a\u200bb", "\x1b[31m", "a\nb", "a\tb", "\ud800", "😀", "a=b", "a b", " a", "#", "a#b", "@", ":"),
    *("..", ".", "/", "/dev/null", "/dev/zero", "~/x", "a/../b", "\\", "a\\", "$HOME", "%s", "{0}", "-", "--", "-m"),
    *("9" * 30, "9" * 5000, "x" * 300, "[" * 50, "digits", "dann", "mmd", "lenet", "sgd", "all", "auto", "cpu"),
]
FLAGS = [
    *("-m", "--multirun", "--cfg", "job", "-c", "all", "--resolve", "--help", "-h", "--info", "--hydra-help", "-p"),
    *("--steps", "--steps=3", "--experimental-rerun=x", "--config-dir", "--config-dir=/dev", "-cd", ".", "-x", "--"),
    *(
        "~steps",
        "~",
        "+",
        "++",
        "=",
        "==",
        "a",
        "é=1",
        "+a=1",
        "++a.b=2",
        "steps",
        "steps=",
        "@x=1",
        "strategy@a.b=dann",
    ),
]


FITTING = {
    **{"strategy": ["finetune", "dann", "scratch", "adabn", "dan", "mcc"], "optimizer": ["sgd", "adamw"]},
    **{"schedule": ["cosine", "constant", "onecycle"], "backbone": ["lenet", "mlp", "dtn"], "steps": ["1", "2"]},
    **{"validator": ["last", "source_accuracy"], "batch_size": ["5", "16"], "image.size": ["8", "12"]},
    **{"bottleneck": ["3", "16"], "target_labels_per_class": ["0", "1", "all"], "margin": ["2", ".5"]},
    **{"source.name": ["2024", "a.b", "x+y"], "optimizer.lr": ["1e-3", "0.1"], "snapshots": ["1", "2"]},
    **{"fail_on": ["null", "[]"], "cache": ["true", "false"], "batch_statistics": ["joint", "per_domain"]},
    **{"precision": ["fp32", "bf16"], "baselines": ["[]", "[scratch]"], "seeds": ["1", "[3]"], "threads": ["1", "2"]},
}
"""Values that a run may well have."""


def _keys() -> list[str]:
    """Top-level keys, groups, and the options of what is chosen by default."""
    top = [str(key) for key in OmegaConf.load(config_root() / "train.yaml") if key not in ("defaults", "hydra")]
    groups = ["source", "target", "bridge", "backbone", "loss", "strategy", "optimizer", "schedule", "validator"]
    inner = ["image.size", "image", "source.path", "source.name", "source.examples", "target.cache", "strategy.name"]
    inner += ["optimizer.lr", "loss.weight", "backbone.weights", "bridge.path", "hydra.run.dir", "hydra.mode", "hydra"]
    return [*top, *groups, *inner, "experiment", "nope", "strategy._target_", "hydra.sweep.dir", "hydra.job.name"]


def random_line(chance: random.Random, keys: list[str], fitting: float = 0.0) -> list[str]:
    """One to three words, most of them a key with a value; ``fitting``: the share of words that a run may well have."""
    words: list[str] = []
    for _ in range(chance.randint(1, 3)):
        if chance.random() < fitting:
            key = chance.choice(list(FITTING))
            words.append(f"{key}={chance.choice(FITTING[key])}")
            continue
        if chance.random() < 0.15:
            words.append(chance.choice(FLAGS))
            continue
        prefix = chance.choice(["", "", "", "", "+", "++", "~"])
        value = "".join(chance.choice(VALUES) for _ in range(chance.choice([1, 1, 1, 2])))
        words.append(f"{prefix}{chance.choice(keys)}={value}")
    return words


def _end_well(
    transferlab: Train, count: int, tail: Callable[[Path], list[str]], head: list[str], seed: int, fitting: float
) -> None:
    chance, keys, codes = random.Random(seed), _keys(), Counter[int]()
    for _ in range(count):
        line = random_line(chance, keys, fitting)
        with tempfile.TemporaryDirectory() as root:
            said = transferlab("train", *head, *line, *tail(Path(root)))
        assert said.code in (0, 2), (line, said.err)
        assert "Traceback" not in said.err + said.out, (line, said.err)
        own = [
            text for text in said.err.splitlines() if not text.startswith(("transferlab: ", "Mend or", "run `", "  "))
        ]
        assert said.code == 0 or not own, (line, own)
        assert said.err.isprintable() or "\x1b" not in said.err, line
        codes[said.code] += 1
    print(f"{count} random command lines, seed {seed}: {codes[0]} done, {codes[2]} refused")
    assert codes[2] > count / 10
    assert codes[0] > count / 50


def _config(_root: Path) -> list[str]:
    return ["--cfg", "job"]


SHORT = [*TINY, "baselines=[]", "strategy=source_only"]


def _tiny(root: Path) -> list[str]:
    return ["device=cpu", "parallel=1", f"output_root={root}/out"]


def test_composed(transferlab: Train) -> None:
    _end_well(transferlab, 40, _config, [], seed=0, fitting=0.0)


def test_trained(transferlab: Train) -> None:
    _end_well(transferlab, 15, _tiny, SHORT, seed=0, fitting=0.8)


@pytest.mark.nightly
def test_two_thousand_composed(transferlab: Train) -> None:
    _end_well(transferlab, 2000, _config, [], seed=1, fitting=0.0)


@pytest.mark.nightly
def test_five_hundred_trained(transferlab: Train) -> None:
    _end_well(transferlab, 500, _tiny, SHORT, seed=1, fitting=0.8)
