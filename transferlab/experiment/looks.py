"""``seeds=auto``: a few seeds, a look at the verdicts, and more seeds for the rows that aren't decided."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from transferlab.comparison.verdict_words import DECIDED
from transferlab.config.schema import LOOKS
from transferlab.errors import Refusal
from transferlab.experiment.plan import PlannedRow, baseline_of, by_comparison, with_baseline_seeds
from transferlab.system.console import say
from transferlab.text import counted


def refuse_without_baseline(rows: Sequence[PlannedRow]) -> None:
    """Raises Refusal if a comparison has no row to judge, nothing that it could be compared with, or no test labels."""
    for together in by_comparison(rows):
        if not (first := together[0]).task.judged:
            name = first.row.config.target.name
            raise Refusal(
                f"seeds=auto: target={name} has no labelled test example to decide by; name a number of seeds"
            )
        if not any(row.judged for row in together):
            raise Refusal(f"seeds=auto: strategy={together[0].name} is a baseline, and there is no row to decide")
        if baseline_of(together) is None:
            name = together[-1].name
            raise Refusal(
                f"seeds=auto: strategy={name} needs scratch or source_only among its baselines, to be judged by"
            )


def looks(rows: Sequence[PlannedRow]) -> Generator[list[PlannedRow]]:
    """The rows with their seeds, look by look; each look's runs have to be there before the next is asked for.

    A look judges by the seeds of this plan alone, whatever else is there, so that a command that was stopped looks at
    the same seeds when it goes on.

    Args:
        rows: of which each comparison has a baseline.
    """
    config = rows[0].row.config
    counts = [*(count for count in LOOKS if count < config.max_seeds), config.max_seeds]
    seeds = {row.key: counts[0] for row in rows}
    for now, then in zip(counts, [*counts[1:], None], strict=True):
        plan = with_baseline_seeds([row.with_seeds(range(seeds[row.key])) for row in rows])
        yield plan
        undecided, unfinished = _undecided(plan)
        judged = sum(map(len, map(_judged, by_comparison(plan))))
        if not undecided:
            say(f"{counted(now, 'seed')}: every row is decided")
            return
        decided = f"{counted(now, 'seed')}: {judged - len(undecided)} of {judged} decided"
        open_rows = [row for row in undecided if row not in unfinished]
        if unfinished:
            say(f"{decided}; no further seeds without a finished run of row and baseline: {_titles(unfinished)}")
        if open_rows and then:
            say(f"{decided}; {then} seeds for {_titles(open_rows)}")
        elif open_rows:
            say(f"{decided}; undecided at max_seeds={now}: {_titles(open_rows)}")
        if not open_rows:
            return
        seeds |= {row.key: then or now for row in open_rows}


def _titles(rows: Sequence[PlannedRow]) -> str:
    return ", ".join(dict.fromkeys(row.title for row in rows))


def _judged(together: Sequence[PlannedRow]) -> list[PlannedRow]:
    baseline = baseline_of(together)
    return [row for row in together if row.judged and row is not baseline]


def _undecided(plan: Sequence[PlannedRow]) -> tuple[list[PlannedRow], list[PlannedRow]]:
    """The rows that have no word for good, and those of them that get none, for no run of row or baseline finished."""
    from transferlab.comparison.results import read_results
    from transferlab.comparison.table import words_at_a_look

    config = plan[0].row.config
    results, _ = read_results(config.root)
    seeds = {row.key: set(row.seeds) for row in plan}
    runs = zip(results["comparison_id"], results["run_id"], results["seed"], strict=True)
    results = results[[seed in seeds.get((comparison, run), {seed}) for comparison, run, seed in runs]]
    words = words_at_a_look(results, config.criterion)
    ok = results[results["status"] == "ok"]
    finished = set(zip(ok["comparison_id"], ok["run_id"], strict=True))
    undecided, unfinished = list[PlannedRow](), list[PlannedRow]()
    for together in by_comparison(plan):
        baseline = baseline_of(together)
        assert baseline is not None  # ``refuse_without_baseline``
        for row in _judged(together):
            if words.get(row.key, {}).get(baseline.name) not in DECIDED:
                undecided.append(row)
                unfinished += [] if {row.key, baseline.key} <= finished else [row]
    return undecided, unfinished
