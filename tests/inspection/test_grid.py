"""The picture of examples: what it shows are the inputs that networks get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobs import TINY, rows_of
from PIL import Image

from transferlab.domains.task import load_task
from transferlab.experiment.run import Run
from transferlab.inputs.image import ImageSpec
from transferlab.inspection.grid import EXAMPLES, GAP, MOST_CLASSES, mosaic, picture_of, save


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def run(*arguments: str) -> Run:
        row = rows_of(*TINY, f"output_root={tmp_path / 'out'}", *arguments)[0]
        return Run(row, load_task(row.config), 0)

    return run


def test_its_pixels_are_the_networks_inputs(run: Callable[..., Run]) -> None:
    asked = run("image.channels=3")
    picture = picture_of(asked)
    training, _ = asked.examples()
    streams = {
        "source rendered_digits": np.concatenate([training.source.inputs, training.source_validation.inputs]),
        "target digits": np.asarray(training.target_unlabelled.inputs),
    }
    labels = np.concatenate([training.source.labels, training.source_validation.labels])
    assert list(picture.cells) == [str(digit) for digit in range(10)]
    for digit, columns in picture.cells.items():
        assert set(columns) == set(streams)
        for column, examples in columns.items():
            assert examples.shape == (EXAMPLES, 3, 8, 8)
            for example in examples:
                same = np.flatnonzero((streams[column] == example).all((1, 2, 3)))
                assert len(same)
                if column.startswith("source"):
                    assert int(digit) in labels[same]


def test_its_images_stand_in_the_mosaic_as_they_are(run: Callable[..., Run]) -> None:
    asked = run()
    cells, spec = picture_of(asked).cells, asked.task.inputs
    assert isinstance(spec, ImageSpec)
    whole, step = mosaic(cells, "target digits", spec), spec.size + GAP
    for place, columns in enumerate(cells.values()):
        for number, example in enumerate(columns["target digits"]):
            top, left = place * step, number * step
            shown = whole[top : top + spec.size, left : left + spec.size]
            assert (shown == example.transpose(1, 2, 0)).all()


def test_more_classes_than_it_shows_are_counted(run: Callable[..., Run], tmp_path: Path) -> None:
    asked = run("source=rendered_letters", "target=rendered_letters", "source.examples=260")
    picture = picture_of(asked)
    assert (len(picture.cells), picture.left_out) == (MOST_CLASSES, 16)
    (line,) = save(asked, str(tmp_path / "grid.jpg"))
    assert line.endswith("a row for each class; 16 more classes left out.")
    with Image.open(tmp_path / "grid.jpg") as shown:
        assert shown.format == "JPEG"
