"""How often the verdict is wrong, how often it finds a true difference, and how often its intervals hold: simulated.

    python benchmarks/verdicts.py                   all tables, 10,000 draws, under ten minutes on two cores
    python benchmarks/verdicts.py --draws 500       faster, and rougher

Accuracies are drawn with known differences and judged by the package's own functions. A row's standard deviation is
1.5 · exp(.4z) points, scratch's 2; a share rho of the variance is common to row and baseline of one seed (against each
other where rho is negative); of the rest, half is common to all rows, or none. Errors are normal, skewed (minus a
standardised gamma of shape 2) or collapsing (normal, less 5 with chance .08, standardised). The margin is 1 point, and
every null row lies on it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

sys.path.insert(0, str(Path(__file__).parent.parent))

from transferlab.comparison.planning import baseline_seeds, seeds_to_decide
from transferlab.comparison.statistics import Array, Estimates, estimates, holm, q_value
from transferlab.comparison.verdict_words import DECIDED
from transferlab.comparison.verdicts import LEVEL, LEVEL_OF_A_LOOK, verdicts
from transferlab.config.schema import LOOKS

MARGIN = 1.0
ROWS = (1, 2, 5, 12, 48)
KINDS = ("normal", "skewed", "collapsing")
SHARES = (0.2, 0.7, -0.3)
SEEDS = 5
DIFFERENCES = (None, -5.0, -3.0)
CHUNK = 500
"""Draws that are simulated at once, for the memory's sake."""


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    Attributes:
        rows: that share a baseline.
        kind: of errors.
        share: rho.
        common: whether half of the rest is common to all rows.
    """

    rows: int
    kind: str
    share: float
    common: bool

    def draw(self, random: np.random.Generator, truth: Array, seeds: int, of_baseline: int) -> tuple[Array, Array]:
        """Points of the rows, (draws, rows, seeds of the baseline), NaN beyond ``seeds``, and of the baseline.

        Args:
            random: draws.
            truth: the rows' true differences, (draws, rows).
            seeds: of each row.
            of_baseline: its seeds, at least ``seeds``.
        """
        draws = len(truth)
        of_seed = self._errors(random, (draws, of_baseline))
        follows, rest = abs(self.share) ** 0.5, (1 - abs(self.share)) ** 0.5
        baseline = 2 * (follows * of_seed + rest * self._errors(random, (draws, of_baseline)))
        own = self._errors(random, (draws, self.rows, seeds))
        if self.common:
            own = (own + self._errors(random, (draws, 1, seeds))) / 2**0.5
        spread = 1.5 * np.exp(0.4 * random.standard_normal((draws, self.rows)))
        together = np.sign(self.share) * follows * of_seed[:, None, :seeds]
        rows = np.full((draws, self.rows, of_baseline), np.nan)
        rows[:, :, :seeds] = truth[:, :, None] + spread[:, :, None] * (together + rest * own)
        return rows, baseline

    def _errors(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Of mean 0 and variance 1."""
        match self.kind:
            case "skewed":
                return -(random.gamma(2, size=shape) - 2) / 2**0.5
            case "collapsing":
                falls = random.random(shape) < 0.08
                return (random.standard_normal(shape) - 5 * falls + 0.4) / (1 + 25 * 0.08 * 0.92) ** 0.5
            case _:
                return random.standard_normal(shape)


@dataclass(frozen=True)
class Measured:
    """Shares of all draws, or of all rows of all draws, in percent.

    Attributes:
        false: draws in which a null row is called negative or positive.
        equivalent: null rows that are called equivalent.
        covered: rows whose 95% interval holds the truth.
        power: draws in which the one row that gains 5 points is called positive.
        power_by_pairs: likewise, by the paired t-test over five seeds of everything that came before.
        width: of the 95% intervals, as a part of the paired t-test's.
    """

    false: float
    equivalent: float
    covered: float
    power: float
    power_by_pairs: float
    width: float


def measured(scenario: Scenario, draws: int, seed: int = 0) -> Measured:
    """Simulates fixed seeds: ``SEEDS`` a row, the baseline's by ``planning.baseline_seeds``."""
    random, of_baseline = np.random.default_rng(seed), baseline_seeds(SEEDS, scenario.rows)
    sums, done = np.zeros(6), 0
    while done < draws:
        size = min(CHUNK, draws - done)
        done += size
        truth = random.choice([-MARGIN, MARGIN], (size, scenario.rows))
        points, shared = scenario.draw(random, truth, SEEDS, of_baseline)
        differences, widths = estimates(points, shared), _widths_by_pairs(points[:, :, :SEEDS], shared[:, :SEEDS])
        words, _ = verdicts(differences, MARGIN)
        low, high = differences.interval(0.95)
        covered = ((low <= truth) & (truth <= high)).mean(1)
        gain = truth.copy()
        gain[:, 0] = 5
        rows, baseline = scenario.draw(random, gain, SEEDS, of_baseline)
        now, _ = verdicts(estimates(rows, baseline), MARGIN)
        sums += [
            _wrong(words, truth).any(1).sum(),
            (words == "equivalent").mean(1).sum(),
            covered.sum(),
            (now[:, 0] == "positive").sum(),
            _positive_by_pairs(rows[:, :, :SEEDS], baseline[:, :SEEDS]).sum(),
            size * (high - low).mean() / widths.mean(),
        ]
    return Measured(*(100 * sums / draws).tolist())


@dataclass(frozen=True)
class Looked:
    """What ``seeds=auto`` does, in percent of the draws but for the seeds.

    Attributes:
        false: draws in which a null row ends as negative or positive.
        decided: rows of a true difference (or, where there are none, of all) that end decided.
        seeds: that such a row is given, in the mean.
    """

    false: float
    decided: float
    seeds: float


def looked(scenario: Scenario, difference: float | None, draws: int, seed: int = 0) -> Looked:
    """Simulates ``seeds=auto``; half of the rows differ truly, and the others are null; for None, all are."""
    random, most = np.random.default_rng(seed), LOOKS[-1]
    differing = np.arange(scenario.rows) < (0 if difference is None else (scenario.rows + 1) // 2)
    shown = differing if differing.any() else ~differing
    sums, done = np.zeros(3), 0
    while done < draws:
        size = min(CHUNK // 5, draws - done)
        done += size
        truth = random.choice([-MARGIN, MARGIN], (size, scenario.rows))
        truth[:, differing] = difference or 0
        rows, baseline = scenario.draw(random, truth, most, most)
        given = np.full((size, scenario.rows), LOOKS[0])
        for look in LOOKS:
            words = _at_a_look(rows, baseline, given)
            undecided = ~np.isin(words, DECIDED)
            given = np.where(undecided & (look < most), LOOKS[min(LOOKS.index(look) + 1, len(LOOKS) - 1)], given)
        words = _at_a_look(rows, baseline, given)
        sums += [
            _wrong(words, truth)[:, ~differing].any(1).sum(),
            np.isin(words, DECIDED)[:, shown].mean(1).sum(),
            given[:, shown].mean(1).sum(),
        ]
    return Looked(*(sums / draws * [100, 100, 1]).tolist())


def followed(scenario: Scenario, draws: int, seed: int = 0) -> tuple[int, int]:
    """Follows the numbers of seeds that are named for undecided rows.

    True differences are drawn with a standard deviation of 4 points. Numbers beyond 400 aren't followed.

    Returns:
        How many of these decide their row, and how many there are.
    """
    random, most, decided, named = np.random.default_rng(seed), 400, 0, 0
    first_levels = np.full(scenario.rows, LEVEL)
    later_levels = np.where(np.arange(scenario.rows) == 0, LEVEL_OF_A_LOOK, LEVEL)
    for _ in range(draws):
        rows, baseline = scenario.draw(random, random.normal(0, 4, (1, scenario.rows)), most, most)
        given = np.full((1, scenario.rows), SEEDS)
        differences = _up_to(rows, baseline, given)
        if str(verdicts(differences, MARGIN, first_levels)[0][0, 0]) in DECIDED:
            continue
        alone = Estimates(**{name: values[0] for name, values in vars(differences).items()})
        count = seeds_to_decide(alone, MARGIN, scenario.rows)[0]
        if count <= most:
            given[0, 0] = count
            words, _ = verdicts(_up_to(rows, baseline, given), MARGIN, later_levels)
            decided += str(words[0, 0]) in DECIDED
            named += 1
    return decided, named


def _at_a_look(rows: Array, baseline: Array, given: NDArray[np.int64]) -> NDArray[np.str_]:
    return verdicts(_up_to(rows, baseline, given), MARGIN, LEVEL_OF_A_LOOK)[0]


def _up_to(rows: Array, baseline: Array, given: NDArray[np.int64]) -> Estimates:
    """The estimates where each row has so many seeds, (draws, rows), and the baseline what it then gets."""
    seed = np.arange(baseline.shape[1])
    of_baseline = np.array([baseline_seeds(most, rows.shape[1]) for most in given.max(1).tolist()])
    own = np.where(seed < given[:, :, None], rows, np.nan)
    return estimates(own, np.where(seed < of_baseline[:, None], baseline, np.nan))


def _wrong(words: NDArray[np.str_], truth: Array) -> NDArray[np.bool_]:
    return ((words == "negative") & (truth >= -MARGIN)) | ((words == "positive") & (truth <= MARGIN))


def _widths_by_pairs(rows: Array, baseline: Array) -> Array:
    error = (rows - baseline[:, None]).std(-1, ddof=1) / SEEDS**0.5
    return 2 * error * float(stdtrit(SEEDS - 1, 0.975))


def _positive_by_pairs(rows: Array, baseline: Array) -> NDArray[np.bool_]:
    differences = rows - baseline[:, None]
    mean, error = differences.mean(-1), differences.std(-1, ddof=1) / SEEDS**0.5
    return (holm(q_value(mean, error, np.full_like(mean, SEEDS - 1.0), MARGIN))[:, 0] < 0.05) & (mean[:, 0] > 0)


def _scenarios(rows: int) -> list[Scenario]:
    return [
        Scenario(rows, kind, share, common) for share, kind, common in itertools.product(SHARES, KINDS, (False, True))
    ]


def main() -> None:
    """Prints the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    draws: int = parser.parse_args().draws
    started = time.perf_counter()
    scenarios = [scenario for rows in ROWS for scenario in _scenarios(rows)]
    with ProcessPoolExecutor() as pool:
        rates = dict(zip(scenarios, pool.map(measured, scenarios, [draws] * len(scenarios)), strict=True))
        print("| rho | errors | half common | " + " | ".join(f"K = {rows}" for rows in ROWS) + " |")
        print("| --- | --- | --- |" + " --- |" * len(ROWS))
        for first in _scenarios(1):
            these = [rates[Scenario(rows, first.kind, first.share, first.common)] for rows in ROWS]
            cells = [f"{one.false:.1f}, {one.covered:.1f}, {one.power:.0f} ({one.power_by_pairs:.0f})" for one in these]
            print(f"| {first.share} | {first.kind} | {'yes' if first.common else 'no'} | {' | '.join(cells)} |")
        most = max(one.equivalent for one in rates.values())
        print(f"\nnull rows called equivalent: at most {most:.1f}%")
        for share in SHARES:
            widths = [one.width for scenario, one in rates.items() if scenario.share == share and scenario.rows > 1]
            print(
                f"rho {share}: intervals {min(widths):.0f} to {max(widths):.0f}% as wide as those of pairs", flush=True
            )
        looks = [
            (Scenario(rows, kind, share, False), difference)
            for rows, share, kind, difference in itertools.product(ROWS, SHARES, KINDS, DIFFERENCES)
        ]
        of_looks = max(draws // 5, 1)
        results = dict(zip(looks, pool.map(looked, *zip(*looks, strict=True), [of_looks] * len(looks)), strict=True))
        print(f"\n| rho | errors | true difference | {' | '.join(f'K = {rows}' for rows in ROWS)} |")
        print("| --- | --- | --- |" + " --- |" * len(ROWS))
        for share, kind, difference in itertools.product(SHARES, KINDS, DIFFERENCES):
            looks_of = [results[Scenario(rows, kind, share, False), difference] for rows in ROWS]
            cells = [f"{one.false:.1f}, {one.decided:.0f}, {one.seeds:.1f}" for one in looks_of]
            print(f"| {share} | {kind} | {difference or 'none'} | {' | '.join(cells)} |")
        counts = list(pool.map(followed, [Scenario(rows, "normal", 0.2, False) for rows in (2, 5)], [draws // 10] * 2))
    decided, named = (sum(those) for those in zip(*counts, strict=True))
    print(f"\nseeds named, and followed: decided in {decided} of {named} cases, {100 * decided / max(named, 1):.0f}%")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
