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
    """Raises Refusal if a comparison has no row to judge, or nothing that it could be compared with."""
    for together in by_comparison(rows):
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
        undecided = _undecided(plan)
        judged = sum(map(len, map(_judged, by_comparison(plan))))
        if not undecided:
            say(f"{counted(now, 'seed')}: every row is decided")
            return
        names = ", ".join(dict.fromkeys(row.title for row in undecided))
        decided = f"{counted(now, 'seed')}: {judged - len(undecided)} of {judged} decided"
        say(f"{decided}; {then} seeds for {names}" if then else f"{decided}; undecided at max_seeds={now}: {names}")
        seeds |= {row.key: then or now for row in undecided}


def _judged(together: Sequence[PlannedRow]) -> list[PlannedRow]:
    baseline = baseline_of(together)
    return [row for row in together if row.judged and row is not baseline]


def _undecided(plan: Sequence[PlannedRow]) -> list[PlannedRow]:
    """The rows that have no word for good."""
    from transferlab.comparison.results import read_results
    from transferlab.comparison.table import words_at_a_look

    config = plan[0].row.config
    results, _ = read_results(config.root)
    seeds = {row.key: set(row.seeds) for row in plan}
    runs = zip(results["comparison_id"], results["run_id"], results["seed"], strict=True)
    seen = results[[seed in seeds.get((comparison, run), {seed}) for comparison, run, seed in runs]]
    words = words_at_a_look(seen, config.margin)
    finished = set(zip(seen["comparison_id"], seen["run_id"], seen["status"], strict=True))
    undecided: list[PlannedRow] = []
    for together in by_comparison(plan):
        baseline = baseline_of(together)
        assert baseline is not None  # ``refuse_without_baseline``
        open_rows = [row for row in _judged(together) if words.get(row.key, {}).get(baseline.name) not in DECIDED]
        undecided += [row for row in open_rows if {(*row.key, "ok"), (*baseline.key, "ok")} <= finished]
        for row in open_rows:
            if lost := [one.title for one in (row, baseline) if (*one.key, "ok") not in finished]:
                say(f"{row.title}: no further seeds, for no run of {lost[0]} was finished with a result")
    return undecided
