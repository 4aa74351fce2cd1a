"""Refuses YAML files that can't be a config, before they are read as one."""

from __future__ import annotations

import codecs
import re
from functools import cache
from pathlib import Path

import yaml
from yaml import MarkedYAMLError, YAMLError

from transferlab.errors import Refusal
from transferlab.text import printable

MAX_BYTES = 2**20
MAX_DEPTH = 40
MAX_NODES = 100_000
"""Values of a file, each alias counted as a copy of what it names: every further line could double their number."""

MAX_DIGITS = 400


def refuse_unreadable(path: Path) -> None:
    """Refuses a file that can't be a config.

    Raises:
        Refusal: naming the file and the reason: no ordinary file, too large, not UTF-8, not YAML, or too much of it.
    """
    try:
        status = path.stat()
        if not path.is_file():
            raise Refusal(f"{path}: no ordinary file")
        if status.st_size > MAX_BYTES:
            raise Refusal(f"{path}: {status.st_size} bytes; a config has at most {MAX_BYTES}")
        _refuse(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise Refusal(f"{path}: can't be read ({error.strerror})") from None


@cache
def _refuse(path: Path, _time: int, _size: int) -> None:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(f"{path}: {_encoding(error)}; save it as UTF-8") from None
    if content.startswith(codecs.BOM_UTF8) and text.startswith("# @package"):
        raise Refusal(f"{path}: a byte order mark hides @package from Hydra; save it without one")
    try:
        _refuse_size(path, text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Refusal(f"{path}{where}: not YAML: {printable(error.problem or str(error))}") from None
    except YAMLError as error:  # a character that YAML doesn't allow
        raise Refusal(f"{path}: not YAML: {printable(' '.join(str(error).split())[:200])}") from None


def _encoding(error: UnicodeDecodeError) -> str:
    if error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "encoded in UTF-16"
    line = error.object[: error.start].count(b"\n") + 1
    return f"line {line} isn't UTF-8"


def _refuse_size(path: Path, text: str) -> None:
    """Counts values and depth as they will be once aliases are followed."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        anchor: str | None = getattr(event, "anchor", None)
        if len(open_nodes) == 1 and isinstance(event, yaml.SequenceStartEvent | yaml.ScalarEvent):
            raise Refusal(f"{path}: expected keys with values, as steps: 500")
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, 0))
            size = 0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in sizes and anchor not in {name for name, _ in open_nodes}:
                where = f"{path}, line {event.start_mark.line + 1}"
                raise Refusal(f"{where}: *{anchor}, and nothing there is called &{anchor}")
            size = sizes.get(anchor or "", MAX_NODES)  # no size yet: the alias is inside what it names
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if re.search(rf"\d{{{MAX_DIGITS}}}", event.value):
                raise Refusal(f"{path}, line {event.start_mark.line + 1}: a number of over {MAX_DIGITS} digits")
        else:
            continue
        if anchor and not isinstance(event, yaml.CollectionStartEvent | yaml.AliasEvent):
            sizes[anchor] = size
        open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
        if len(open_nodes) > MAX_DEPTH:
            raise Refusal(f"{path}, line {event.start_mark.line + 1}: nested more than {MAX_DEPTH} levels deep")
        if open_nodes[-1][1] > MAX_NODES:
            raise Refusal(f"{path}: more than {MAX_NODES} values, aliases followed")
