"""Nothing is imported from the folder in which a command is given."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import TINY

from transferlab.__main__ import leave_out_working_directory
from transferlab.system import imports


@pytest.mark.parametrize("python_path", [None, ":/nowhere"])
def test_nothing_is_imported_from_the_working_directory(tmp_path: Path, python_path: str | None) -> None:
    """Neither by this process, however it is started, nor by those that it starts."""
    evil = "import pathlib\npathlib.Path(__file__ + '.ran').touch()\nraise SystemExit('evil')\n"
    names = "selectors json torch yaml numpy hydra shlex socket peft evil typing random"
    for name in names.split():
        (tmp_path / f"{name}.py").write_text(evil)
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "plugin.py").write_text(evil)
    job = [*TINY, "strategy=source_only", "baselines=[]", "seeds=2", "parallel=2", "output_root=out"]
    program = [sys.executable, "-m", "transferlab", "train"]
    environment = {**os.environ} if python_path is None else {**os.environ, "PYTHONPATH": python_path}
    done = subprocess.run([*program, *job], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.ran"))


@pytest.mark.parametrize(
    ("python_path", "stays", "passed_on"),
    [
        (None, True, None),  # an installation for development may have put it there
        ("", True, None),
        (":", False, None),
        (":/x", False, "/x"),
        ("/x", True, "/x"),
        ("HERE:", True, "HERE"),
    ],
)
def test_the_working_directory_is_searched_where_it_is_named(
    python_path: str | None, stays: bool, passed_on: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/a", str(tmp_path), "/b"])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path.replace("HERE", str(tmp_path)))
    leave_out_working_directory()
    assert sys.path == ["/a", *([str(tmp_path)] if stays else []), "/b"]
    assert os.environ.get("PYTHONPATH") == (passed_on and passed_on.replace("HERE", str(tmp_path)))
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_of_the_working_directory_only_what_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_alone.py").write_text("answer = 42\n")
    (tmp_path / "beside_it.py").write_text("")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder not in ("", str(tmp_path))])
    imports.allow(["mine_alone"])
    assert importlib.import_module("mine_alone").answer == 42
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("beside_it")
