"""Streams that a shell may give: closed, ASCII, full, or a pipe whose reader has gone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from jobs import Said

from transferlab import cli
from transferlab.comparison.result_file import SCHEMA_VERSION
from transferlab.errors import Unwritable
from transferlab.system.console import say
from transferlab.system.files import json_digest

BUFFERED = "env -u PYTHONUNBUFFERED"
"""As Python is by itself; with that variable it writes at once, and a machine of tests may have it set."""

RUN = f"{shlex.quote(sys.executable)} -m transferlab"


def _shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    full = {**os.environ, **environment}
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False, env=full)


@pytest.fixture
def compare(tmp_path: Path) -> str:
    """A command that prints a table: one strategy with one seed."""
    names = ("run_id", "comparison_id", "source", "target", "backbone", "strategy", "variant", "loss")
    result = {
        **{"schema_version": SCHEMA_VERSION, "status": "ok", "seed": 0, "target_labels_per_class": 3},
        **dict.fromkeys(names, "x"),
        **{"metrics": {"target_accuracy": 0.5}, "timing": {"seconds": 1.0}, "warnings": []},
    }
    folder = tmp_path / "runs" / "pair" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result | {"sha256": json_digest(result)}))
    return f"{RUN} compare output_root={shlex.quote(str(tmp_path))}"


def test_an_encoding_without_our_symbols(compare: str) -> None:
    said = _shell(compare, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (said.returncode, said.stderr) == (0, "")
    assert "x -> x" in said.stdout
    assert "+-1 point" in said.stdout
    assert said.stdout.isascii()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_files_of_ours(compare: str, closed: str, tmp_path: Path) -> None:
    """Else the first file that is opened gets the number of stdout, and the table is printed into it."""
    said = _shell(f"{compare} {closed}")
    assert (said.returncode, said.stderr) == (0, "")
    assert (tmp_path / "comparison" / "table.csv").read_text().startswith("source,target")


def test_a_full_disk_behind_stdout_is_told(compare: str, tmp_path: Path) -> None:
    said = _shell(f"{compare} > /dev/full")
    assert said.returncode == 1
    assert said.stderr == "transferlab: can't write to stdout: No space left on device\n"
    assert (tmp_path / "comparison" / "table.csv").exists()


def test_what_else_cannot_be_written_is_told_as_itself(
    transferlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(_arguments: Sequence[str]) -> int:
        raise Unwritable("can't write there: Permission denied")

    monkeypatch.setitem(cli.COMMANDS, "methods", unable)
    said = transferlab("methods")
    assert (said.code, said.err) == (1, "transferlab: can't write there: Permission denied\n")


@pytest.mark.parametrize("line", ["{0} | true", "{0} 2>&1 | true", "{1} --help | true"])
def test_a_reader_that_has_gone_changes_no_exit_code(compare: str, line: str) -> None:
    said = _shell(line.format(compare, RUN))
    assert (said.returncode, said.stderr) == (0, "")


def test_a_working_directory_that_has_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    said = _shell(f"cd {shlex.quote(str(tmp_path / 'gone'))} && rmdir $PWD && {RUN} --version")
    assert said.returncode == 2
    assert said.stderr == "transferlab: the working directory isn't there any more; change to one that is\n"


def test_a_config_is_printed_where_no_file_can_be_written() -> None:
    said = _shell(f"ulimit -f 0; {RUN} train --cfg job | cat")
    assert (said.returncode, said.stderr) == (0, "")
    assert "output_root: outputs" in said.stdout


def test_a_message_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("class \x1b[2Jcat\nand \u202edog")
    assert capsys.readouterr().err == "transferlab: class \\x1b[2Jcat\nand \\u202edog\n"


def test_a_warning_that_nobody_can_read_costs_nothing(tmp_path: Path) -> None:
    """What a library writes to stderr stays in its buffer, which Python flushes when it ends."""
    python, script, write = shlex.quote(sys.executable), tmp_path / "script.py", "sys.stderr.buffer.write(b'a warning')"
    for ready, code in (("", 120), ("prepare_streams(); prepare_streams(); ", 0)):
        script.write_text(f"import sys; from transferlab.system.console import prepare_streams; {ready}{write}")
        assert _shell(f"{BUFFERED} {python} {shlex.quote(str(script))} 2>/dev/full").returncode == code


def test_a_message_that_nobody_can_read_costs_nothing(compare: str) -> None:
    twice = f"{compare} {compare.rpartition(' ')[2]}"  # a key given twice, of which a line tells
    done = _shell(f"{BUFFERED} {twice} 2>/dev/full")
    assert (done.returncode, "50.0" in done.stdout) == (0, True)
