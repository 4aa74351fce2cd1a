"""Code of the user's that can't be read, or fails, is told of by its file and line before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said

Train = Callable[..., Said]

LOSS = """
class Mine:
    def __init__(self, features: int, classes: int) -> None:
        {}
"""
STRATEGY = """
from dataclasses import dataclass
from transferlab.strategies.source_only import SourceOnly

@dataclass(frozen=True, kw_only=True)
class Mine(SourceOnly):
    def stages(self, loss):
        {}
"""


def _train(train_tiny: Train, group: str, code: str | bytes, *arguments: str) -> Said:
    Path("own_code.py").write_bytes(code if isinstance(code, bytes) else code.encode())
    Path("conf", group).mkdir(parents=True)
    weight = "weight: 1.0\n" if group == "loss" else ""
    Path("conf", group, "mine.yaml").write_text(f"_target_: own_code.Mine\nname: mine\n{weight}")
    return train_tiny("--config-dir", "conf", "allow_packages=[own_code]", "baselines=[]", f"{group}=mine", *arguments)


@pytest.fixture(autouse=True)
def _here(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    monkeypatch.delitem(__import__("sys").modules, "own_code", raising=False)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"def f(:\n", "own_code.py, line 1: not Python"),
        (b"x = '\xf6'\n", "own_code.py, line 1: not Python"),
        (b"x = 1\0\n", "own_code.py"),
        (b"x = " + b"(" * 500, "own_code.py"),
    ],
)
def test_what_is_not_python(code: bytes, words: str, train_tiny: Train, tmp_path: Path) -> None:
    said = _train(train_tiny, "loss", code, "strategy=adapt")
    assert (said.code, len(said.err.splitlines())) == (2, 1), said.err
    assert words in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "fault",
    ["raise KeyError('x')", "raise SystemExit(3)", "assert False", "raise OSError('x')", "raise ValueError('x')"],
)
def test_a_loss_that_fails(fault: str, train_tiny: Train, tmp_path: Path) -> None:
    said = _train(train_tiny, "loss", LOSS.format(fault), "strategy=adapt")
    assert said.code == 2, said.err
    assert "loss=mine: " in said.err
    assert "own_code.py, line 4)" in said.err
    assert not list(tmp_path.glob("runs/**/result.json"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('x')", "own_code.Mine failed: KeyError: 'x' (own_code.py, line 8)"),
        ("return None", "own_code.Mine.stages() gives no list of stages"),
        ("return []", "own_code.Mine.stages() gives no list of stages"),
        ("return ['x']", "own_code.Mine.stages() gives no list of stages"),
    ],
)
def test_a_strategy_that_fails(body: str, words: str, train_tiny: Train, tmp_path: Path) -> None:
    said = _train(train_tiny, "strategy", STRATEGY.format(body))
    assert (said.code, len(said.err.splitlines())) == (2, 1), said.err
    assert f"strategy=mine: {words}" in said.err
    assert not list(tmp_path.iterdir())


def test_a_strategy_that_is_none(train_tiny: Train) -> None:
    said = _train(train_tiny, "strategy", "class Mine:\n    pass\n")
    assert (said.code, "own_code.Mine is no Strategy" in said.err) == (2, True), said.err
