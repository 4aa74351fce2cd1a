"""Shell completion: Hydra's, told about our subcommands."""

from __future__ import annotations

import os
from collections.abc import Sequence

from transferlab.config.jobs import compose_train


def complete(arguments: Sequence[str]) -> int:
    """Answers ``transferlab -sc install=bash`` with a script, and that script's queries with choices."""
    line = os.environ.get("COMP_LINE", "")
    command = line.split()[1:2]
    completed = command in (["train"], ["data"]) and not line.endswith(f" {command[0]}")
    if arguments[1:] and arguments[1].startswith("query=") and not completed:
        print("train data compare methods")
        return 0
    # Hydra completes what follows a program's name, and knows nothing of subcommands.
    os.environ["COMP_LINE"] = line.replace(f" {command[0]}", "", 1) if completed else line
    compose_train(["-sc", *arguments[1:]])
    return 0
