"""A picture of examples: a row for each class, some examples of each data set as networks get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.preparation import reading_of
from transferlab.domains.splits import split
from transferlab.errors import Refusal
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.inputs.kind import Kind
from transferlab.inputs.lazy import Change
from transferlab.inputs.signal import SignalSpec
from transferlab.inspection.sides import read
from transferlab.system.files import replaced
from transferlab.text import counted, drawn_as_text, printable

MOST_CLASSES = 10
EXAMPLES = 5
"""Of each class and data set."""

ENDINGS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
WITHOUT_LABEL = "no label"
GAP = 2
"""Pixels between two images."""

Cells = Mapping[str, Mapping[str, NDArray[Any]]]
"""By row and column: some examples (n, …) as networks get them."""


@dataclass(frozen=True)
class Picture:
    """What a picture shows.

    Attributes:
        cells: up to ``EXAMPLES`` of each class and data set.
        left_out: how many classes it doesn't show.
    """

    cells: Cells
    left_out: int


def refuse_no_picture(path: str) -> None:
    """Raises Refusal unless a picture can have this name."""
    if not path.lower().endswith(ENDINGS):
        raise Refusal(f"grid={printable(path)}: expected a file name that ends with {', '.join(ENDINGS)}")
    if not Path(path).expanduser().parent.is_dir():
        raise Refusal(f"grid={printable(path)}: there is no such folder")


def refuse_no_images(kind: type[Kind]) -> None:
    """Raises Refusal for inputs that can't be drawn."""
    if kind.name not in ("image", "signal"):
        raise Refusal(f"grid: {kind.many} can't be drawn, images and signals can; leave it out")


def picture_of(run: Run) -> Picture:
    """Training examples of each class, drawn by a fixed seed, as the run's networks get them.

    Where labels are numbers, or an example has none, it is in a row of its own.
    """
    task, config = run.task, run.config
    training, _ = split(task.source, task.target, run.budget, run.seed, task.bridges)
    reading = reading_of(training, task.inputs, config.standardise)
    names = [f"source {config.source.name}", f"target {config.target.name}"]
    names += [f"bridge {component.name}" for component in config.bridge.path or ()]
    domains = dict(zip(names, (task.source, task.target, *task.bridges), strict=True))
    classes = list(dict.fromkeys(name for domain in domains.values() for name in domain.class_names))
    shown = [*classes[:MOST_CLASSES], WITHOUT_LABEL]
    cells = {row: {name: _examples(domain, row, reading) for name, domain in domains.items()} for row in shown}
    if not any(len(examples) for examples in cells[WITHOUT_LABEL].values()):
        del cells[WITHOUT_LABEL]
    return Picture(cells, max(len(classes) - MOST_CLASSES, 0))


def _examples(domain: Domain, row: str, reading: Change) -> NDArray[Any]:
    """Some examples of a class, or without one, (n, …)."""
    fitting = ~domain.labelled | domain.continuous
    if row != WITHOUT_LABEL:
        label = domain.class_names.index(row) if row in domain.class_names else None
        fitting = np.zeros(len(domain.labels), dtype=bool) if label is None else domain.labels == label
    members = np.random.default_rng(0).permutation(np.flatnonzero(fitting & ~test_mask(domain)))[:EXAMPLES]
    return reading.function(read(domain.inputs, members)) if len(members) else np.empty((0, *reading.shape))


def save(run: Run, path: str) -> list[str]:
    """Writes the picture; returns sentences on it.

    Raises:
        Unwritable: if the file can't be written.
    """
    import matplotlib as mpl  # half a second
    from matplotlib.figure import Figure

    picture = picture_of(run)
    columns = list(next(iter(picture.cells.values())))
    with drawn_as_text(), mpl.rc_context({"font.size": 8}):
        figure = Figure(
            figsize=(1.2 + 3.0 * len(columns), 0.9 + 0.62 * len(picture.cells)), layout="constrained", dpi=150
        )
        if isinstance(run.task.inputs, ImageSpec):
            _draw_images(figure, picture.cells, columns, run.task.inputs)
        else:
            assert isinstance(run.task.inputs, SignalSpec)
            _draw_signals(figure, picture.cells, columns)
        target = Path(path).expanduser()
        with replaced(target) as temporary:
            figure.savefig(temporary, format=target.suffix[1:].lower())
    more = f"; {counted(picture.left_out, 'more class')} left out" if picture.left_out else ""
    return [f"{printable(path)}: training examples as networks get them, a row for each class{more}."]


def mosaic(cells: Cells, column: str, spec: ImageSpec) -> NDArray[np.uint8]:
    """The images of one data set side by side, a row for each class, (height, width, 3), white between them."""
    step = spec.size + GAP
    whole = np.full((len(cells) * step - GAP, EXAMPLES * step - GAP, 3), 255, np.uint8)
    for row, examples in enumerate(cells.values()):
        for place, image in enumerate(examples[column]):
            top, left = row * step, place * step
            whole[top : top + spec.size, left : left + spec.size] = image.transpose(1, 2, 0)
    return whole


def _draw_images(figure: Any, cells: Cells, columns: Sequence[str], spec: ImageSpec) -> None:
    every = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(every, columns, strict=True):
        axes.imshow(mosaic(cells, column, spec), interpolation="nearest")
        axes.set_title(printable(column))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    middles = [row * (spec.size + GAP) + spec.size / 2 for row in range(len(cells))]
    every[0].set_yticks(middles, [printable(row) for row in cells])
    every[0].tick_params(length=0)


def _draw_signals(figure: Any, cells: Cells, columns: Sequence[str]) -> None:
    every = figure.subplots(len(cells), len(columns), squeeze=False, sharex=True, sharey=True)
    for lines, (row, examples) in zip(every, cells.items(), strict=True):
        for axes, column in zip(lines, columns, strict=True):
            for signal in examples[column][:1]:
                axes.plot(signal.T, linewidth=0.8)
        lines[0].set_ylabel(printable(row))
    for axes, column in zip(every[0], columns, strict=True):
        axes.set_title(f"{printable(column)}, one example each")
