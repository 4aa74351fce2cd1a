"""YAML files of configs that can't be meant are refused by name, and at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said

from transferlab.config.composer import Composer
from transferlab.errors import Refusal

Train = Callable[..., Said]

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
WRONG = {
    "Latin-1": ("# Grüße\n".encode("latin-1"), "line 1 isn't UTF-8; save it as UTF-8"),
    "UTF-16": ("# Grüße\n".encode("utf-16"), "encoded in UTF-16; save it as UTF-8"),
    "binary": (b"\x00\x01\x02", "not YAML"),
    "an alias bomb": (BOMB.encode(), "aliases followed"),
    "a node that holds itself": (b"a: &a [*a]\n", "aliases followed"),
    "nested without end": (b"a: " + b"[" * 5000, "levels deep"),
    "a number without end": (b"steps: " + b"1" * 5000, "a number of over 400 digits"),
    "much too large": (b"#" * 2**21, "bytes"),
    "a bracket left open": (b"a: [1\nb: 2\n", "line 2"),
    "a key twice": (b"steps: 1\nsteps: 2\n", "duplicate key steps"),
    "a list": (b"- 1\n", "expected keys with values"),
    "text": (b"dann\n", "expected keys with values"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_data_set_is_refused_by_name(wrong: str, tmp_path: Path) -> None:
    content, words = WRONG[wrong]
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "mine.yaml").write_bytes(content)
    with pytest.raises(Refusal, match=r"mine\.yaml") as refusal:
        Composer("train", tmp_path).domains.node("mine")
    assert words in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("wrong", ["UTF-16", "an alias bomb", "a key twice", "a list"])
def test_so_is_an_experiment(wrong: str, transferlab: Train, tmp_path: Path) -> None:
    content, words = WRONG[wrong]
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes(content)
    said = transferlab("train", "--config-dir", str(tmp_path), "experiment=mine", f"output_root={tmp_path / 'out'}")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "mine" in said.err
    assert words in said.err
    assert not (tmp_path / "out").exists()


EXPERIMENTS = {
    "mine": (b"# @package _global_\nsteps: *nope\n", "line 2: *nope, and nothing there is called &nope"),
    "bom": (b"\xef\xbb\xbf# @package _global_\nsteps: 3\n", "a byte order mark hides @package from Hydra"),
    "bare": (b"steps: 3\n", "the first line of its file has to be: # @package _global_"),
    "cut": (b"# @package _global_\nhydra: {new: 1}\n", "Key 'new' not in"),
    "none": (b"# @package _global_\nnull: 2\n", "NoneType"),
    "open": (b"# @package _global_\nsteps: ${\n", "no viable alternative"),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_refused_with_the_reason(name: str, transferlab: Train, tmp_path: Path) -> None:
    content, words = EXPERIMENTS[name]
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / f"{name}.yaml").write_bytes(content)
    said = transferlab("train", "--config-dir", str(tmp_path), f"experiment={name}", f"output_root={tmp_path / 'out'}")
    assert (said.code, len(said.err.splitlines())) == (2, 1), said.err
    assert words in said.err


def test_an_experiment_may_be_called_by_a_year(transferlab: Train, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    for name in ("2024", "nan"):
        (tmp_path / "experiment" / f"{name}.yaml").write_text("# @package _global_\nsteps: 37\n")
        said = transferlab("train", "--config-dir", str(tmp_path), f"experiment={name}", "--cfg", "job")
        assert (said.code, "steps: 37" in said.out) == (0, True), said.err


def test_a_pipe_is_not_waited_for(transferlab: Train, tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    os.mkfifo(tmp_path / "domain" / "mine.yaml")
    said = transferlab("train", "--config-dir", str(tmp_path), "source=mine")
    assert said.code == 2
    assert "mine.yaml: no ordinary file" in said.err


def test_a_name_outside_ascii_and_a_byte_order_mark(transferlab: Train, tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    text = "﻿_target_: transferlab.domains.digits.digits\n"
    (tmp_path / "domain" / "été.yaml").write_text(text, encoding="utf-8")
    said = transferlab("train", "--config-dir", str(tmp_path), "source=été", "--cfg", "job")
    assert said.code == 0, said.err
    assert "name: été" in said.out
