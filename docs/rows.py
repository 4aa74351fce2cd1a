"""Writes tables of the pages from what commands left: ``python docs/rows.py outputs``.

A table stands behind a comment that names the folder of its output_root below the given one, or ``.``, and the
title of its comparison. Its header says which columns it has.
"""

import re
import sys
from pathlib import Path

PAGES = [Path(__file__).parent / name for name in ("results.md", "uses.md", "regression.md", "files.md")]
TABLE = re.compile(r"(<!-- rows of (\S+): (.+?) -->\n\n)(\|[^\n]*\|)\n(?:\|[^\n]*\|\n)+")


def main(outputs: Path) -> None:
    """Rewrites every marked table of the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(TABLE.sub(lambda found: _table(found, outputs), text), encoding="utf-8")


def _table(found: re.Match[str], outputs: Path) -> str:
    mark, folder, title, header = found.groups()
    lines = (outputs / folder / "comparison" / "table.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if _plain(line) == f"## {title}")
    first = next(number for number in range(start, len(lines)) if lines[number].startswith("|"))
    last = next((number for number in range(first, len(lines)) if not lines[number].startswith("|")), len(lines))
    rows = [_cells(line) for line in lines[first:last]]
    wanted = [rows[0].index(name) for name in _cells(header)]
    shown = [f"| {' | '.join(row[place] for place in wanted)} |" for row in rows]
    return mark + "\n".join(shown) + "\n"


def _cells(line: str) -> list[str]:
    return [_plain(cell.strip()) for cell in line.strip().strip("|").split(" | ")]


def _plain(text: str) -> str:
    """Without Markdown's escapes, and without the half-widths for new test examples."""
    return re.sub(r" new ±[\d.,]+", "", re.sub(r"\\([\[_])", r"\1", text))


main(Path(sys.argv[1]))
