"""`train` in a terminal: what it shows while it runs, and how it stops."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from jobs import TINY


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_says_how_to_continue(number: signal.Signals, code: int, tmp_path: Path) -> None:
    command = ["train", *TINY, f"output_root={tmp_path}", "strategy=dan", "steps=100000", "log_every=1", "parallel=1"]
    # A test run in the background of a shell has Ctrl-C ignored, and its children would inherit that.
    default = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    program = [sys.executable, "-m", "transferlab", *command]
    with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **default) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/**/state.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code
    assert "0 of 3 runs are done" in err
    assert f"transferlab train {' '.join(TINY)}" in err
    assert "Traceback" not in err
    assert out == ""
    (state,) = tmp_path.glob("runs/**/state.json")
    assert json.loads(state.read_text())["state"] == "interrupted"
    assert not list(tmp_path.glob("runs/**/result.json"))


def test_progress_is_quiet_when_piped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "transferlab", "train", *TINY, f"output_root={tmp_path}", "baselines=[]"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, other, announced = done.stderr.splitlines()
    assert found.startswith("transferlab: source=rendered_digits: 10 classes")
    assert other.startswith("transferlab: target=digits: 10 classes")
    assert announced == "transferlab: training 1 run: dann (1)"
    assert done.stdout.startswith("rendered_digits → digits")


def test_progress_shows_loss_and_learning_rate_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    job = [*TINY, "steps=400", "log_every=1", f"output_root={tmp_path}", "baselines=[]"]
    process = subprocess.Popen([sys.executable, "-m", "transferlab", "train", *job], stderr=theirs)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    assert process.wait(timeout=30) == 0
    assert b"[1/1] dann seed 0: adapt" in shown
    assert b"loss" in shown
    assert b"lr 0.0" in shown
    assert b"dann seed 0: " in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way of saying that the other end is closed
        return b""
