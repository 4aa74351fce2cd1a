"""Files that can't be decoded: refused by name, or left out and said."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transferlab.errors import Refusal
from transferlab.text import counted, printable

log = logging.getLogger("transferlab")

SHOWN = 3
"""Files that are named."""


def leave_out(noun: str, names: Sequence[str], reasons: Sequence[str], count: int, *, skip: bool) -> None:
    """Warns of files that are left out; without ``skip``, or where no other is left, refuses them.

    Args:
        noun: what a file is called, in the singular.
        names: of the files that can't be read.
        reasons: why each can't.
        count: of all files.
        skip: the option ``skip_unreadable``.

    Raises:
        Refusal: with the first names and reasons.
    """
    if not names:
        return
    first = [f"{printable(name)} ({reason})" for name, reason in zip(names[:SHOWN], reasons, strict=False)]
    listed = ", ".join(first) + (", …" if len(names) > SHOWN else "")
    which = f"{len(names)} of {counted(count, noun)} can't be read: {listed}"
    if not skip:
        raise Refusal(f"{which}\nMend or remove them, or leave them out with skip_unreadable=true")
    if len(names) == count:
        raise Refusal(which)
    log.warning("left out, %s", which)
