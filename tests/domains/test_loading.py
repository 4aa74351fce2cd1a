"""Whatever a loader of one's own raises is told in a line, with the line of its code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from transferlab.config.component import Component
from transferlab.domains.loading import loaded
from transferlab.errors import Interrupted, Refusal
from transferlab.system.imports import allow

HEADER = "import numpy as np\nfrom transferlab.domains.domain import Domain\n"
RAISING = {
    "KeyError: 'label'": "{}['label']",
    "IndexError: list index out of range": "[][3]",
    "AttributeError: 'NoneType' object has no attribute 'x'": "None.x",
    "RuntimeError: first second": "raise RuntimeError('first\\n  second')",
    "ValueError: red\\x1b[31m": "raise ValueError('red\\x1b[31m')",
    "BadZipFile: File is not a zip file": "import io, zipfile; zipfile.ZipFile(io.BytesIO(b'x'))",
    "SystemExit: 3": "import sys; sys.exit(3)",
    "there isn't enough memory": "raise MemoryError",
    "Panic: called unwrap": "raise type('Panic', (BaseException,), {})('called unwrap')",
    "Mute: its text can't be made": "raise type('Mute', (Exception,), {'__str__': lambda self: self.text})()",
    "AssertionError": "assert False",
    "RecursionError: maximum recursion depth exceeded": "f = lambda: f(); f()",
    "FileNotFoundError: [Errno 2] No such file or directory: 'none.csv'": "open('none.csv')",
    "UnicodeDecodeError": "b'\\xff'.decode()",
    "ModuleNotFoundError: No module named 'nothing_such'": "import nothing_such",
    "images must be a NumPy array": "Domain(3, [0], ('a', 'b'))",
}


@pytest.mark.parametrize("words", RAISING)
@pytest.mark.parametrize("place", ["working directory", "elsewhere"])
def test_it_is_told_whose_what_and_where(
    words: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"loader_{abs(hash((words, place)))}"
    (tmp_path / f"{name}.py").write_text(f"{HEADER}def load(*, path: str):\n    print(path)\n    {RAISING[words]}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path if place == "working directory" else tmp_path / "empty")
    with pytest.raises(Refusal) as refusal:
        loaded("source", Component(f"{name}.load", {"path": "x"}, "table"))
    text = str(refusal.value)
    assert text.startswith("source=table: ")
    assert words in text
    file = f"{name}.py" if place == "working directory" else str(tmp_path / f"{name}.py")
    assert text.endswith(f" ({file}, line 5)")
    assert "\n" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_what_stops_the_program_stops_it_in_a_loader_too(monkeypatch: pytest.MonkeyPatch, stop: type) -> None:
    def stopped(*_: object) -> None:
        raise stop("now")

    monkeypatch.setattr("transferlab.domains.loading.load", stopped)
    with pytest.raises(stop, match="now"):
        loaded("source", Component("loader.load", {}, "mine"))


def test_mistakes_on_import_and_in_syntax_are_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loader_importing.py").write_text("import loader_misspelt\ndef load(): ...\n")
    (tmp_path / "loader_misspelt.py").write_text("x = (\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match=r"SyntaxError: .* \(loader_misspelt.py, line 1\)$"):
        loaded("target", Component("loader_importing.load", {}, "mine"))


def test_what_is_no_domain_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loader_returning.py").write_text("def load():\n    return 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Refusal, match=r"bridge=mine: loader_returning.load returned int, not a Domain"):
        loaded("bridge", Component("loader_returning.load", {}, "mine"))


def test_a_module_beside_it_that_was_not_allowed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loader_alone.py").write_text("def load():\n    import loader_beside\n")
    (tmp_path / "loader_beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [folder for folder in sys.path if folder not in ("", str(tmp_path))])
    allow(["loader_alone"])
    with pytest.raises(Refusal, match=r"add loader_beside to allow_packages=\[…\]$"):
        loaded("source", Component("loader_alone.load", {}, "mine"))
