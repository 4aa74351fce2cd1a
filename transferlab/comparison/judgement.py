"""Gives each row of a comparison its difference from a baseline, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from transferlab.comparison.criterion import Metric
from transferlab.comparison.examples import for_new_examples, variance_over_examples
from transferlab.comparison.planning import CHANCE, MAX_SEEDS, seeds_to_decide
from transferlab.comparison.rows import Row
from transferlab.comparison.statistics import Array, Estimates, estimates
from transferlab.comparison.verdict_words import DECIDED, NOT_JUDGED
from transferlab.comparison.verdicts import MIN_SEEDS, verdicts
from transferlab.text import counted


def judge(
    rows: Sequence[Row], baseline: Row, verdict_column: str, note_column: str, margin: float, metric: Metric
) -> None:
    """Fills in each row's difference from the baseline and, where it has one, its verdict.

    Args:
        rows: of the comparison, the baseline among them or not.
        baseline: what they are compared with.
        verdict_column: of the words.
        note_column: of what stands in parentheses behind a word.
        margin: in points.
        metric: that the points are of.
    """
    name, others = baseline.strategy, [row for row in rows if row is not baseline]
    if not others:
        return
    judged = np.array([row.strategy not in NOT_JUDGED for row in others])
    differences = _estimates(others, baseline, judged)
    levels = np.array([row.level for row in others])
    words, adjusted = verdicts(differences, margin, levels, judged)
    variance, count, reasons = _over_examples(others, baseline, metric)
    wider = for_new_examples(differences, variance, count)
    wider_words, _ = verdicts(wider, margin, levels, judged)
    undecided = bool((words == "inconclusive").any())
    enough = seeds_to_decide(differences, margin, int(judged.sum())) if undecided else differences.mean
    low, high = differences.interval(0.95)
    new_low, new_high = wider.interval(0.95)
    for place, row in enumerate(others):
        row.columns |= {
            f"delta_{name}": float(differences.mean[place]),
            f"delta_{name}_low": float(low[place]),
            f"delta_{name}_high": float(high[place]),
            f"delta_{name}_new_low": float(new_low[place]),
            f"delta_{name}_new_high": float(new_high[place]),
            f"seeds_{name}": int(differences.baseline_seeds),
            f"slope_{name}": float(differences.slope),
            "level": row.level,
        }
        if reasons[place]:
            known = row.columns.get("reason", "")
            row.columns["reason"] = "; ".join(filter(None, [known, f"against {name}, {reasons[place]}"]))
        else:
            row.columns["test_examples"] = float(count[place])
        if not judged[place]:
            continue
        word = str(words[place])
        notes = [_undecided(differences, place, enough[place])] if word == "inconclusive" else []
        if word in DECIDED and not reasons[place] and wider_words[place] != word:
            notes.append(_settled(differences, place, word, margin, variance[place], levels[place], int(judged.sum())))
        if lost := len(row.points) - int(differences.seeds[place]):
            notes.append(f"without {counted(lost, 'seed')} that {name} has no result for")
        row.columns |= {
            f"p_{name}": float(adjusted[place]) if not math.isnan(differences.error[place]) else math.nan,
            verdict_column: word,
            note_column: "; ".join(notes),
        }


def _estimates(rows: Sequence[Row], baseline: Row, judged: Any) -> Estimates:
    """Of all rows; slope and prior variance are those of the judged ones."""
    seeds = sorted({*baseline.points, *(seed for row in rows for seed in row.points)})
    points = [[row.points.get(seed, math.nan) for seed in seeds] for row in (baseline, *rows)]
    array = np.array(points, dtype=np.float64).reshape(len(rows) + 1, len(seeds))
    return estimates(array[1:], array[0], judged)


def _over_examples(rows: Sequence[Row], baseline: Row, metric: Metric) -> tuple[Array, Array, list[str]]:
    """Variance over test examples, their number, and, where these can't be known, why; for each row."""
    variances, counts, reasons = list[float](), list[float](), list[str]()
    for row in rows:
        common = {seed: right for seed, right in row.right.items() if seed in baseline.points}
        try:
            if metric.name != "accuracy":
                raise ValueError(f"{metric.name} is no mean of what each test example got")
            variance, count = variance_over_examples(common, baseline.right)
            reason = ""
        except ValueError as error:
            variance, count, reason = math.nan, math.nan, str(error)
        variances.append(variance)
        counts.append(count)
        reasons.append(reason)
    return np.array(variances), np.array(counts), reasons


def _undecided(differences: Estimates, place: int, enough: float) -> str:
    """What stands behind ``inconclusive``."""
    if differences.seeds[place] < MIN_SEEDS:
        return f"fewer than {MIN_SEEDS} seeds"
    if math.isnan(enough):
        return f"more than {MAX_SEEDS:,} seeds needed"
    return f"about {_rounded(enough):,} seeds would decide it in {10 * CHANCE:.0f} of 10 cases"


def _settled(
    differences: Estimates, place: int, word: str, margin: float, variance: float, level: float, rows: int
) -> str:
    """What stands behind a word that holds on this test set, and not for any test examples.

    As if the row's q were the smallest of all rows, which Holm multiplies most: no number is below that of the set.
    """
    distance = abs(abs(float(differences.mean[place])) - margin)
    tail = level if word == "equivalent" else level / (2 * rows)
    room = (distance / float(stdtrit(differences.degrees[place], 1 - tail))) ** 2 - float(differences.error[place]) ** 2
    if not room > 0:
        return "on this test set alone"
    return f"on this test set alone; about {_rounded(variance / room):,} test examples would settle it"


def _rounded(count: float) -> int:
    """Rounded up to two digits; it is an estimate."""
    digit = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return math.ceil(count / digit) * digit
