"""``transferlab data``: says what ``transferlab train`` with the same arguments would do with the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from transferlab.comparison.report import console
from transferlab.config.comparison_row import ComparisonRow
from transferlab.config.jobs import compose_train
from transferlab.config.schema import TrainConfig
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.experiment.plan import on_its_data, planned
from transferlab.experiment.preflight import lacking
from transferlab.experiment.run import Run, heard
from transferlab.inspection import grid
from transferlab.inspection.classes import classes
from transferlab.inspection.duplicates import duplicates
from transferlab.inspection.image_inputs import images
from transferlab.inspection.number_inputs import signals, vectors
from transferlab.inspection.odd_images import odd_images
from transferlab.inspection.page import Part, show
from transferlab.inspection.remarks import remarks
from transferlab.inspection.sides import Side, sides_of
from transferlab.inspection.table_inputs import tables
from transferlab.inspection.text_inputs import texts
from transferlab.system.console import say

EXAMPLE = "transferlab data source=mnist5k target=digits"

USAGE = f"""\
transferlab data: says what transferlab train with the same arguments would do with the data; trains nothing.

  {EXAMPLE}
  transferlab data source=folder source.path=photos target=folder target.path=drawings image.size=64
  transferlab data source=mnist5k target=digits strategy=finetune grid=grid.png

Any option of train is taken, of one job; transferlab train --help lists them. One key more:
  grid=grid.png   a picture of some examples of each class and data set, as networks get them (images, signals)

It says which classes are shared, how many examples each has in each split, what the inputs are, what occurs twice,
which images are odd, what was left out, and what training will be and about how long it takes.
"""

SUBCOMMANDS = ("list", "prepare")
"""What ``transferlab.public_data`` does with data sets that have a name."""

INPUTS: Mapping[str, Callable[[Run, Sequence[Side]], Part]] = {
    "image": images,
    "signal": signals,
    "table": tables,
    "tokens": texts,
    "features": vectors,
}
"""The part of a report on inputs, by their kind."""


def run(arguments: Sequence[str]) -> int:
    """Runs ``transferlab data`` with these arguments, and returns the exit code.

    Raises:
        Refusal: as ``train`` raises it; where the data can be described nevertheless, after that.
        Unwritable: if the picture can't be written.
    """
    if not arguments:
        raise Refusal(f"transferlab data: name a source and a target, as for train: {EXAMPLE}")
    if arguments[0] in SUBCOMMANDS:
        from transferlab.public_data.command import run as list_or_prepare

        return list_or_prepare(arguments)
    if {"--help", "-h"} & {*arguments}:
        print(USAGE, end="")
        return 0
    picture, others = _without_grid(arguments)
    jobs = compose_train(others)
    if len(jobs) > 1:
        raise Refusal(
            f"transferlab data describes one job, and this is a sweep of {len(jobs)}; give each key one value"
        )
    if jobs:
        out = console()
        for part in _parts(jobs[0], picture):
            show(part, out)
    return 0


def _without_grid(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of ``grid``, None where it isn't given, and the arguments of ``train``."""
    given = [word.removeprefix("grid=") for word in arguments if word.startswith("grid=")]
    if given:
        grid.refuse_no_picture(given[-1])
    return (given[-1] if given else None), [word for word in arguments if not word.startswith("grid=")]


def _parts(job: Sequence[ComparisonRow], picture: str | None) -> Iterator[Part]:
    """The parts of the report, each made when it is asked for.

    Raises:
        Refusal: after the parts on the data, if ``train`` would refuse them.
    """
    refusal, rows, asked = None, [], job[0]
    try:
        rows = planned([job])
        run = next(row.first for row in rows if row.chosen)
    except Refusal as reason:
        refusal, task = reason, load_task(asked.config)
        run = Run(asked, task, asked.config.seed_list[0]).with_config(on_its_data(asked.config, task))
    kind = run.task.inputs.kind
    if picture is not None:
        grid.refuse_no_images(kind)
    sides = sides_of(run.config)
    yield classes(run, sides, [name for name, config in _strategies(job).items() if _reads_target_labels(config)])
    yield INPUTS[kind.name](run, sides)
    yield duplicates(run.config, sides)
    if kind.name == "image":
        yield odd_images(sides)
    yield remarks(sides, run.seed)
    if picture is not None:
        yield Part("Picture", grid.save(run, picture))
    refusal = refusal or _lacking(run)
    if refusal is not None:
        raise refusal
    # Only here: torch takes seconds to import.
    from transferlab.experiment.rehearsal import refuse_impossible
    from transferlab.inspection.training import training

    with heard() as warnings:
        refuse_impossible(run)
    for text in dict.fromkeys(warnings):
        say(text)
    yield training(asked.config, rows)


def _strategies(job: Sequence[ComparisonRow]) -> dict[str, TrainConfig]:
    return {row.config.strategy.name: row.config for row in job}


def _reads_target_labels(config: TrainConfig) -> bool:
    return "target_labelled" in config.strategy().reads(config.loss)


def _lacking(run: Run) -> Refusal | None:
    reason = lacking(run.config)
    return None if reason is None else Refusal(reason)
