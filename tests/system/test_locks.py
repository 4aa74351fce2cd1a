"""One process at a time, whatever becomes of the others."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from transferlab.errors import Refusal, Unwritable
from transferlab.system.locks import exclusive, is_held

HOLD = """
import sys, time
from pathlib import Path
from transferlab.system.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

COUNT = """
import sys
from pathlib import Path
from transferlab.system.locks import exclusive
number = Path(sys.argv[2])
for _ in range(100):
    with exclusive(Path(sys.argv[1])):
        number.write_text(str(int(number.read_text()) + 1))
"""


def test_a_lock_is_there_only_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    assert not is_held(path)
    with exclusive(path) as mine:
        assert mine
        assert is_held(path)
        with exclusive(path, wait=False) as also_mine:
            assert not also_mine
        assert is_held(path)
    assert not is_held(path)
    assert not path.exists()


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with exclusive(path, wait=False) as mine:
            assert not mine
        holder.kill()
    assert path.exists()
    assert not is_held(path)
    with exclusive(path, wait=False) as mine:
        assert mine


def test_whoever_waits_comes_next(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", list[str]()

    def wait() -> None:
        with exclusive(path):
            order.append("second")

    with exclusive(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_no_two_hold_it_while_it_comes_and_goes(tmp_path: Path) -> None:
    """Four processes count to a hundred each in one file; two at once would lose some."""
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "lock"), str(number)]
    counting = [subprocess.Popen(command) for _ in range(4)]
    assert [one.wait(60) for one in counting] == [0] * 4
    assert number.read_text() == "400"


def test_a_file_system_without_locks_is_told_of_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (
        pytest.raises(Refusal, match=r"its file system has no locks; choose an output_root that has"),
        exclusive(tmp_path / "lock"),
    ):
        pass
    assert not is_held(tmp_path / "lock")


def test_a_link_in_its_place_is_neither_followed_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Unwritable, match="lock"), exclusive(tmp_path / "lock"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")
    with exclusive(tmp_path / "lock", wait=False) as mine:
        assert mine
