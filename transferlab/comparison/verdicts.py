"""One word for each row of a comparison: did the transfer help, hurt, make no difference, or can't we tell?

A word that claims a direction is adjusted for the number of rows it was picked from (Holm, 1979); "equivalent" is two
one-sided t-tests (Schuirmann, 1987).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.comparison.statistics import Array, Estimates, holm

MIN_SEEDS = 5
"""Below so many common seeds nothing is decided."""

LEVEL = 0.05
"""The chance of a wrong word, where a row's seeds were named once and for all."""

LEVEL_OF_A_LOOK = 0.02
"""The same for a row that got further seeds later: with so much at each of five looks, all have about 5% at most."""


def verdicts(
    differences: Estimates, margin: float, level: Array | float = LEVEL, judged: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.str_], Array]:
    """The words and the adjusted q that they rest on.

    The first rule that holds gives the word: too few seeds; a direction, by the adjusted q; equivalence, by two tests
    at ``level``; a leaning, where the unadjusted 95% interval excludes 0.

    Args:
        differences: of the rows of a comparison, (…, rows).
        margin: half the width of "no difference that matters", in points.
        level: of each row, or of all.
        judged: the rows that get a word, and over which Holm adjusts; None for all.

    Returns:
        Words, (…, rows), ``""`` for a row that isn't judged; and q, 1 for such a row.
    """
    rows = np.ones(differences.mean.shape[-1], dtype=bool) if judged is None else judged
    adjusted = np.ones(differences.mean.shape)
    adjusted[..., rows] = holm(differences.q(margin)[..., rows])
    low, high = differences.interval(0.95)
    inner_low, inner_high = differences.interval(1 - 2 * level)
    below = differences.mean < 0
    rules = [
        (~np.broadcast_to(rows, below.shape), ""),
        (differences.seeds < MIN_SEEDS, "inconclusive"),
        ((adjusted < level) & below, "negative"),
        ((adjusted < level) & ~below, "positive"),
        ((-margin < inner_low) & (inner_high < margin), "equivalent"),
        (high < 0, "leaning_negative"),
        (low > 0, "leaning_positive"),
    ]
    words = np.select([rule for rule, _ in rules], [word for _, word in rules], "inconclusive")
    return words, adjusted
