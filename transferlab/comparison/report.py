"""Tables from result files: on stdout, and as files under ``comparison/``."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from transferlab.comparison.compare import Comparison, compare, met
from transferlab.comparison.criterion import Criterion
from transferlab.comparison.terminal import to_terminal
from transferlab.comparison.verdict_words import Verdict
from transferlab.errors import Refusal
from transferlab.system.console import say, shown

PIPED_WIDTH = 120


class _Console(Console):
    """Rich's console, which would end the program with exit code 1 when the reader of stdout is gone."""

    def on_broken_pipe(self) -> None:
        """Leaves the error to ``shown``."""
        raise BrokenPipeError


def console() -> Console:
    """A console for stdout: as wide as the terminal, or ``PIPED_WIDTH`` where there is none."""
    return _Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def show(
    output_root: Path, criterion: Criterion, only: Collection[str] | None = None, curve: str | None = None
) -> Comparison:
    """Writes the files, which hold all comparisons, and prints those named by ``only`` (None: all).

    Where they can't be written, as in a read-only folder, a line says so; the table doesn't depend on them.

    Args:
        output_root: the folder that holds ``runs``.
        criterion: by what rows are judged.
        only: comparison_ids.
        curve: a key of the config to draw a curve over.
    """
    comparison = compare(output_root, criterion, only, curve)
    for warning in comparison.warnings:
        say(warning)
    unwritten = _unwritten(comparison, output_root)
    with shown():
        to_terminal(comparison.table, criterion, console())
    if unwritten:
        say(f"output_root={output_root}: the tables are shown and not written ({unwritten})")
    elif curve:
        print(f"\ntarget accuracy over {curve}: {output_root / 'comparison' / 'curve.png'} and .csv")
    return comparison


def _unwritten(comparison: Comparison, output_root: Path) -> str | None:
    """Why the files couldn't be written; None if they are."""
    try:
        comparison.write(output_root)
    except (OSError, Refusal) as error:
        return str(error)
    return None


def exit_code(comparison: Comparison, fail_on: list[Verdict] | Verdict | None) -> int:
    """3 if a shown row has a verdict named by ``fail_on``, else 0."""
    words = [fail_on] if isinstance(fail_on, str) else fail_on or []
    return 3 if met(comparison.table, words) else 0
