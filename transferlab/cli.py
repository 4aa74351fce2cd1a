"""The command line: which command, its exit code, and nothing else.

Exit codes: 0 done · 1 a job failed or was left out, or nothing can be written · 2 config or input refused ·
3 ``fail_on`` met · 129, 130, 131 or 143 interrupted (SIGHUP, Ctrl-C, SIGQUIT, SIGTERM); the same command continues.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from transferlab import __version__
from transferlab.errors import Interrupted, Refusal, Unwritable
from transferlab.system.console import discard_stdout, prepare_streams, say, shown
from transferlab.system.signals import interrupt_on_signals

HELP = """\
transferlab: should I transfer, from what, and how? Answered by experiment.

  transferlab train [group=option …] [key=value …]   train a strategy and its baselines, then compare them
  transferlab data [group=option …] [key=value …]    what train would do with the data, without training
  transferlab compare [key=value …]                  rebuild every table from the results under output_root
  transferlab methods                                every strategy: what it needs, and whose it is

  transferlab train strategy=dann                    domain-adversarial training, MNIST to UCI digits
  transferlab train -m strategy=finetune,dan         a sweep; ends with one table
  transferlab train experiment=quickstart            six strategies, five seeds, one table
  transferlab train --help                           every group, option and key

  transferlab --version
  eval "$(transferlab -sc install=bash)"             shell completion; zsh and fish too
"""


def main() -> NoReturn:
    """The console script: runs ``sys.argv`` and exits."""
    prepare_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; every refusal becomes its one or two lines on stderr."""
    interrupt_on_signals()
    try:
        _refuse_surroundings()
        with shown():
            return _dispatch(arguments)
    except Refusal as refusal:
        say(str(refusal))
        return 2
    except Interrupted as stop:
        say(str(stop))
        return stop.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Unwritable as error:
        say(str(error))
        return 1
    except OSError as error:
        if error.filename is not None:
            raise  # about a file that nobody asked for: a fault of ours
        say(f"can't write to stdout: {error.strerror}")
        discard_stdout()
        return 1


def _refuse_surroundings() -> None:
    try:
        os.getcwd()  # noqa: PTH109 (only whether it fails matters)
    except OSError:
        raise Refusal("the working directory isn't there any more; change to one that is") from None


def _dispatch(arguments: Sequence[str]) -> int:
    match arguments:
        case [] | ["-h" | "--help" | "help", *_]:
            print(HELP, end="")
            return 0
        case ["--version", *_]:
            print(f"transferlab {__version__}")
            return 0
        case ["-sc" | "--shell_completion" | "--shell-completion", *_]:
            from transferlab.config.completion import complete

            return complete(arguments)
        case [command, *rest] if command in COMMANDS:
            return COMMANDS[command](rest)
        case _:
            from transferlab.config.values import unknown

            raise Refusal(unknown(f"{arguments[0]}", arguments[0], COMMANDS))


def _train(arguments: Sequence[str]) -> int:
    command_line = shlex.join(["transferlab", "train", *arguments])
    try:
        from transferlab.config.jobs import compose_train

        jobs = compose_train(arguments)
        if not jobs:
            return 0
        from transferlab.experiment.sweep import train

        return train(jobs, command_line)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; the same command continues:\n  {command_line}") from None
    except Interrupted as stop:
        if command_line in str(stop):
            raise
        raise Interrupted(f"{stop}; the same command continues:\n  {command_line}", stop.exit_code) from None


def _data(arguments: Sequence[str]) -> int:
    from transferlab.inspection.command import run

    return run(arguments)


def _compare(arguments: Sequence[str]) -> int:
    from transferlab.config.jobs import compose_compare

    config = compose_compare(arguments)
    if config is None:
        return 0
    from transferlab.comparison.report import exit_code, show

    return exit_code(show(Path(config.output_root), config.criterion, curve=config.curve), config.fail_on)


def _methods(arguments: Sequence[str]) -> int:
    if arguments:
        raise Refusal(f"transferlab methods takes no arguments, not {' '.join(arguments)}")
    from transferlab.config.catalogue import catalogue, markdown

    print(markdown(catalogue()))
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    **{"train": _train, "data": _data},
    **{"compare": _compare, "methods": _methods},
}
