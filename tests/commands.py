"""`transferlab train` in a process of its own, which can be stopped and starved."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, signal, sys
from transferlab import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
if {largest}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, resource.RLIM_INFINITY))
sys.exit(cli.run(sys.argv[1:]))
"""


def started(*arguments: str, largest: int = 0) -> subprocess.Popen[str]:
    """The command, signals as in a terminal whatever the tests' own process ignores, and a process group of its own.

    Args:
        arguments: behind ``transferlab train``.
        largest: bytes that a file may have; 0: no limit.
    """
    program = [sys.executable, "-c", PROGRAM.format(largest=largest), "train", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(program, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
