"""``seeds=auto``, further seeds of the baseline, and a command's limit of runs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from jobs import Said, rows_of

from transferlab.config.jobs import compose_train
from transferlab.errors import Refusal
from transferlab.experiment import looks
from transferlab.experiment.plan import PlannedRow, planned, with_baseline_seeds

TrainTiny = Callable[..., Said]
ROWS = ("-m", "strategy=dann,dan,finetune", "baselines=[scratch,source_only]")


def plan_of(*arguments: str) -> list[PlannedRow]:
    """What a command plans, without training it."""
    return planned(compose_train(["experiment=smoke", *arguments]))


def seeds_of(rows: Sequence[PlannedRow]) -> dict[str, int]:
    return {row.name: len(row.seeds) for row in rows}


def found(root: Path) -> dict[str, list[int]]:
    """The seeds that were trained, by strategy."""
    seeds: dict[str, list[int]] = {}
    for path in root.rglob("runs/**/result.json"):
        result = json.loads(path.read_text())
        seeds.setdefault(result["strategy"], []).append(result["seed"])
    return {name: sorted(numbers) for name, numbers in seeds.items()}


def decided_at(monkeypatch: pytest.MonkeyPatch, when: dict[str, int]) -> None:
    """Lets each row be decided once it has so many seeds, the others never."""
    monkeypatch.setattr(
        looks,
        "_undecided",
        lambda plan: ([row for row in plan if row.judged and len(row.seeds) < when.get(row.name, 99)], []),
    )


def test_scratch_gets_seeds_for_all_rows_that_share_it() -> None:
    rows = with_baseline_seeds(plan_of(*ROWS, "seeds=5"))
    assert seeds_of(rows) == {"scratch": 10, "source_only": 5, "dann": 5, "dan": 5, "finetune": 5}
    assert rows[0].seeds == tuple(range(10))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["seeds=4"], {"scratch": 4, "source_only": 4, "dann": 4}),
        (["seeds=6", "baseline_seeds=20"], {"scratch": 20, "source_only": 6, "dann": 6}),
        (["seeds=6", "baseline_seeds=2"], {"scratch": 6, "source_only": 6, "dann": 6}),
        (["seeds=6", "baselines=[]"], {"dann": 6}),
        (["seeds=6", "baselines=[scratch]"], {"scratch": 6, "dann": 6}),
        (["seeds=6", "target_labels_per_class=0"], {"source_only": 6, "dann": 6}),
        (
            ["seeds=6", "baselines=[scratch,source_only,target_oracle]"],
            {"scratch": 9, "source_only": 6} | dict.fromkeys(("target_oracle", "dann"), 6),
        ),
    ],
)
def test_how_many_seeds_a_baseline_gets(given: list[str], expected: dict[str, int]) -> None:
    assert seeds_of(with_baseline_seeds(plan_of("strategy=dann", *given))) == expected


def test_without_labels_source_only_is_what_rows_share() -> None:
    rows = with_baseline_seeds(plan_of("-m", "strategy=dann,dan", "seeds=5", "target_labels_per_class=0"))
    assert seeds_of(rows) == {"source_only": 8, "dann": 5, "dan": 5}


def test_further_seeds_are_the_smallest_that_are_not_listed() -> None:
    rows = with_baseline_seeds(plan_of("strategy=dann", "seeds=[9,1,7,30,4]"))
    assert rows[0].seeds == (9, 1, 7, 30, 4, 0, 2, 3)


def test_rows_of_a_sweep_are_planned_once_with_the_seeds_of_all_jobs() -> None:
    rows = plan_of("-m", "strategy=source_only,dann", "seeds=1,3")
    assert [(row.name, row.seeds, row.chosen) for row in rows] == [
        ("scratch", (0, 1, 2), False),
        ("source_only", (0, 1, 2), True),
        ("dann", (0, 1, 2), True),
    ]


def test_only_undecided_rows_get_more_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    decided_at(monkeypatch, {"dann": 5, "source_only": 5, "dan": 8, "finetune": 20})
    steps = [seeds_of(plan) for plan in looks.looks(plan_of(*ROWS, "seeds=auto"))]
    assert [[step[name] for name in ("scratch", "source_only", "dann", "dan", "finetune")] for step in steps] == [
        [10, 5, 5, 5, 5],
        [16, 5, 5, 8, 8],
        [24, 5, 5, 8, 12],
        [30, 5, 5, 8, 20],
    ]


def test_looks_end_at_max_seeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    decided_at(monkeypatch, {"source_only": 5})
    steps = [seeds_of(plan)["dann"] for plan in looks.looks(plan_of("strategy=dann", "seeds=auto", "max_seeds=10"))]
    assert steps == [5, 8, 10]
    assert "10 seeds: 1 of 2 decided; undecided at max_seeds=10: dann" in capsys.readouterr().err


def test_a_look_judges_by_its_own_seeds(train_tiny: TrainTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stopped command trained beyond its last look changes no word of an earlier look."""
    from transferlab.comparison import table

    seen: list[int] = []
    real = table.words_at_a_look

    def noted(results, margin: float):
        seen.append(int(results[results["strategy"] == "dann"]["seed"].max()))
        return real(results, margin)

    monkeypatch.setattr(table, "words_at_a_look", noted)
    command = ["strategy=dann", "baselines=[scratch]", "steps=2"]
    assert train_tiny(*command, "seeds=7").code == 0
    assert train_tiny(*command, "seeds=auto", "max_seeds=5").code == 0
    assert seen == [4]


def test_auto_trains_the_runs_of_named_seeds_and_goes_on(train_tiny: TrainTiny, tmp_path: Path) -> None:
    command = ["strategy=dann", "baselines=[scratch]", "seeds=auto", "max_seeds=6", "steps=2", "margin=0.001"]
    said = train_tiny(*command, "max_runs=4")
    assert said.code == 0, said.err
    assert "transferlab: training 4 runs: scratch (4)" in said.err
    assert "stopped by max_runs; 6 more runs before the next verdict: give the command again" in said.err
    assert found(tmp_path) == {"scratch": [0, 1, 2, 3]}
    said = train_tiny(*command)
    assert said.code == 0, said.err
    assert "4 of 10 found" in said.err
    have = found(tmp_path)
    assert have["dann"] in ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5])
    seeds = len(have["dann"])
    said = train_tiny("strategy=dann", "baselines=[scratch]", f"seeds={seeds}", "steps=2", "margin=0.001")
    assert "nothing to train" in said.err


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["seeds=auto", "baselines=[]"], "seeds=auto: strategy=dann needs scratch or source_only among its baselines"),
        (["seeds=auto", "strategy=scratch", "baselines=[]"], "seeds=auto: strategy=scratch is a baseline"),
        (["-m", "seeds=auto,5"], "seeds=auto: for all jobs of a sweep or for none"),
        (["max_seeds=4"], "max_seeds=4: expected 5 to 30"),
        (["max_runs=0"], "max_runs=0: expected at least 1"),
        (["baseline_seeds=0"], "baseline_seeds=0: expected at least 1"),
        (["seeds=many"], "seeds=many"),
        (["-m", "max_runs=1,2"], "max_runs: one value for all jobs of a sweep"),
        (["-m", "baseline_seeds=6,9"], "baseline_seeds: one value for all jobs of a sweep"),
        (["max_runs=3", "overwrite=true"], "max_runs: not with overwrite=true"),
    ],
)
def test_what_makes_no_sense_is_refused(train_tiny: TrainTiny, given: list[str], text: str) -> None:
    said = train_tiny("strategy=dann", *given)
    assert said.code == 2
    assert text in said.err


def test_a_planned_row_says_what_it_is() -> None:
    (row, *_) = rows_of("strategy=finetune", "strategy.train=head", "experiment=smoke")
    assert row.variant
    (chosen,) = [one for one in plan_of("strategy=finetune", "strategy.train=head") if one.chosen]
    assert chosen.title == "finetune (train=head)"
    with pytest.raises(Refusal):
        plan_of("strategy=finetune", "target_labels_per_class=0")


def test_seeds_added_by_a_sweep_are_what_its_results_say(train_tiny: TrainTiny, tmp_path: Path) -> None:
    """So that the row is judged as one whose seeds came later, as it is without a sweep."""
    command = ["strategy=dann", "baselines=[]", "steps=2"]
    assert train_tiny(*command, "seeds=1").code == 0
    assert train_tiny("-m", *command, "seeds=1,3").code == 0
    results = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("runs/**/result.json"))]
    assert [result["config"]["seeds"] for result in results] == [1, 3, 3]


def test_what_decides_is_the_commands_own_baseline(train_tiny: TrainTiny) -> None:
    """Scratch of another command is there too, on too few seeds for a word."""
    assert train_tiny("strategy=dann", "baselines=[scratch]", "seeds=1", "steps=2").code == 0
    said = train_tiny("strategy=dann", "baselines=[source_only]", "seeds=auto", "max_seeds=8", "steps=2", "margin=60")
    assert "5 seeds: every row is decided" in said.err


def test_a_row_that_never_finishes_gets_no_further_seeds(train_tiny: TrainTiny, tmp_path: Path) -> None:
    command = ["strategy=dann", "baselines=[scratch]", "steps=3", "optimizer.lr=1e20"]
    said = train_tiny(*command, "seeds=auto", "max_seeds=6")
    assert "5 seeds: 0 of 1 decided; no further seeds without a finished run of row and baseline: dann" in said.err
    assert "every row is decided" not in said.err
    assert found(tmp_path)["dann"] == [0, 1, 2, 3, 4]
