"""Counts agree with their nouns in every message."""

from __future__ import annotations

import re
from pathlib import Path

from transferlab.text import agreeing, counted

PACKAGE = Path(__file__).parent.parent / "transferlab"

NOUNS = (
    "runs?|images|examples|seeds|classes|cores|files|tensors|results|folders|labels|steps|domains|rows|entries|points"
)

NEVER_ONE = {
    'desc=f"{count} runs side by side"',  # more than one process
    'f"domains of {self.domain_sizes} examples',  # a list
    "{seeds.min()} to {seeds.max()} seeds",
    "about {_rounded(enough):,} seeds",  # more than the five that there have to be
    "more than {MAX_SEEDS:,} seeds",
    "fewer than {MIN_SEEDS} seeds",
    "{then} seeds for",  # five at least, as those that were looked at
    "about {_rounded(variance / room):,} test examples",
    "one bit for each of {count} examples",
    "{len(fitting)} of {len(wanted)} tensors",
    "of the network's {sized(wanted)} tensors",
    "{min(seeds)} to {max(seeds)} seeds",
    "{share:.1%} of its {what} examples",
}
"""What a number stands before that isn't one, or a fraction of several."""


def test_counted() -> None:
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert counted(1200, "class") == "1,200 classes"
    assert [agreeing(count, "is", "are") for count in (0, 1, 2)] == ["are", "is", "are"]


def test_no_message_puts_a_noun_in_the_plural_behind_a_number_that_may_be_one() -> None:
    found = [
        f"{path.name}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"\{{(?:len\(|count|number|n\b|[a-z.]*)[^{{}}]*\}} (?:{NOUNS})\b", line)
        and not any(one in line for one in NEVER_ONE)
    ]
    assert found == []
