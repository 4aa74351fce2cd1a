"""The path over a pool: on digits turned further and further, on distances by hand, and what it may not see."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import Said, results, rows_of
from numpy.typing import NDArray

from transferlab.config.identity import Data, run_id
from transferlab.domains.bridges import Choice, best_path, choose_path
from transferlab.domains.draws import test_mask
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec

TURNED = """
import numpy as np
from scipy.ndimage import rotate
from transferlab.domains.digits import digits
from transferlab.domains.domain import Domain

SEEN = []

def turned(*, degrees: float, start: int, colour: bool, named: bool) -> Domain:
    '''A fifth of the digits, each turned by degrees, give or take 30.'''
    whole, random = digits(), np.random.default_rng(start)
    images = [rotate(one, degrees + random.uniform(-30, 30), reshape=False, order=1) for one in whole.inputs[start::5]]
    names = whole.class_names if named else ('x', *whole.class_names[1:])
    test = np.arange(len(images)) % 3 == 0
    return Domain(np.stack(images).repeat(3 if colour else 1, 3), whole.labels[start::5], names, test)

def brightness(source, target, *, fold: int) -> float:
    SEEN.extend([source, target])
    return abs(float(source.mean()) - float(target.mean()))
"""
DEGREES = {"turned0": 0, "turned20": 20, "turned40": 40, "turned60": 60, "turned80": 80}
JOB = ["strategy=transitive", "source=turned0", "target=turned60", "image.size=8", "bridge=auto"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of configs: the same digits, turned by 0, 20, … degrees, no two images alike."""
    folder = tmp_path_factory.mktemp("turned")
    (folder / "turned_digits.py").write_text(TURNED)
    (folder / "domain").mkdir()
    for place, (name, degrees) in enumerate(DEGREES.items()):
        options = f"degrees: {degrees}\nstart: {place}\ncolour: false\nnamed: true\n"
        path = folder / "domain" / f"{name}.yaml"
        path.write_text(f"_target_: turned_digits.turned\nname: {name}\n{options}")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def arguments(folder: Path) -> list[str]:
    return ["--config-dir", str(folder), "allow_packages=[turned_digits]", *JOB]


def chosen(*arguments: str) -> Choice:
    return choose_path(rows_of(*arguments)[0].config)


def names(choice: Choice) -> list[str]:
    return [one.name for one in choice.path]


def test_turned_digits_are_crossed_in_order_of_their_angles(arguments: list[str]) -> None:
    """From 0 to 60 degrees over 20 and 40; 80 lies beyond."""
    for pool in ("[turned20,turned40]", "[turned80,turned40,turned20]"):
        choice = chosen(*arguments, f"bridge.pool={pool}", "bridge.probe.folds=3")
        assert names(choice) == ["turned20", "turned40"]
        assert len(choice.hops) == 3
        assert max(choice.hops) < choice.straight


def test_a_pool_that_is_no_help_is_left_alone(arguments: list[str]) -> None:
    near = [*arguments, "target=turned20"]
    choice = chosen(*near, "bridge.pool=[turned60,turned80]", "bridge.probe.folds=3")
    assert names(choice) == []
    assert choice.hops == (choice.straight,)


def test_the_choice_repeats(arguments: list[str]) -> None:
    job = [*arguments, "bridge.pool=[turned20,turned40]", "bridge.probe.folds=3"]
    assert chosen(*job) == chosen(*job, "seeds=[7]")


def test_the_probe_sees_training_images_as_they_are_fed_and_nothing_else(arguments: list[str]) -> None:
    import turned_digits  # type: ignore[import-not-found]  # written by the fixture

    own = [
        "bridge.probe._target_=turned_digits.brightness",
        *("~bridge.probe.folds", "~bridge.probe.examples", "~bridge.probe.components", "~bridge.probe.seed"),
    ]
    job = [*arguments, "bridge.pool=[turned20]", "image.size=6", *own, "+bridge.probe.fold=1"]
    turned_digits.SEEN.clear()
    choice = chosen(*job)
    task = load_task(rows_of(*job)[0].config.crossing(rows_of(*job)[0].config.bridge.pool))
    stations = [one.inputs[~test_mask(one)] for one in (task.source, task.bridges[0], task.target)]
    seen = turned_digits.SEEN
    assert len(seen) == 6
    expected = [stations[place] for place in (0, 1, 0, 2, 1, 2)]
    assert all(np.array_equal(one, other) for one, other in zip(seen, expected, strict=True))
    assert choice.probe == "proxy_a_distance"  # the name that stands in auto.yaml, for no other was given
    assert choice.straight == abs(float(stations[0].mean()) - float(stations[2].mean()))


def bottleneck(way: tuple[int, ...], distances: NDArray[np.float64]) -> tuple[float, int]:
    return max(distances[one, other] for one, other in pairwise(way)), len(way)


@given(data=st.data(), count=st.integers(2, 6))
def test_no_path_has_a_smaller_largest_hop_or_is_shorter_at_the_same(data: st.DataObject, count: int) -> None:
    values = data.draw(st.lists(st.integers(0, 6), min_size=count * count, max_size=count * count))
    distances = np.array(values, dtype=float).reshape(count, count)
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    way = best_path(distances)
    assert (way[0], way[-1], len(set(way))) == (0, count - 1, len(way))
    every = [
        (0, *between, count - 1) for length in range(count - 1) for between in permutations(range(1, count - 1), length)
    ]
    assert bottleneck(tuple(way), distances) == min(bottleneck(one, distances) for one in every)


def test_of_paths_that_are_as_good_the_first_of_the_pool() -> None:
    distances = np.array([[0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 1], [2, 1, 1, 0]], dtype=float)
    assert best_path(distances) == [0, 1, 3]


def test_a_bridge_takes_the_pairs_channels_and_the_sources_order_of_classes(arguments: list[str]) -> None:
    given = [one for one in arguments if one != "bridge=auto"]
    task = load_task(rows_of(*given, "bridge.path=[turned20]", "bridge.turned20.colour=true")[0].config)
    assert task.bridges[0].inputs.shape[1:] == (8, 8, 1)
    assert task.inputs == ImageSpec(1, 8)
    assert task.bridges[0].class_names == task.source.class_names
    assert len(task.fingerprints) == 3


def test_a_bridge_with_images_of_the_target_is_refused(arguments: list[str]) -> None:
    given = [one for one in arguments if one != "bridge=auto"]
    for bridge in (["bridge=turned60"], ["bridge=turned20", "bridge.turned20.degrees=60", "bridge.turned20.start=3"]):
        with pytest.raises(Refusal, match=r"bridge=turned\d0: 359 of its images are target=turned60's"):
            load_task(rows_of(*given, *bridge)[0].config)
    with pytest.raises(Refusal, match="bridge=turned60"):
        chosen(*arguments, "bridge.pool=[turned20,turned60]")


def test_from_the_command_line(arguments: list[str], transferlab: Callable[..., Said], tmp_path: Path) -> None:
    small = ["bottleneck=16", "steps=6", "snapshots=2", "batch_size=16", "seeds=2", f"output_root={tmp_path}"]
    said = transferlab("train", *arguments, *small, "bridge.pool=[turned40,turned20]", "bridge.probe.folds=3")
    assert said.code == 0, said.err
    (line,) = [line for line in said.err.splitlines() if "bridge=auto" in line]
    assert "turned0 → turned20 → turned40 → turned60; hops " in line
    crossed = [one for one in results(tmp_path) if one["strategy"] == "transitive"]
    assert [one["variant"] for one in crossed] == ["bridge.path=[turned20,turned40]"] * 2
    assert crossed[0]["config"]["bridge"]["path"] == ["turned20", "turned40"]
    assert len({one["comparison_id"] for one in results(tmp_path)}) == 1
    assert {one["strategy"] for one in results(tmp_path)} == {"transitive", "scratch", "source_only"}

    spelt = [one for one in arguments if one != "bridge=auto"]
    said = transferlab("train", *spelt, *small, "bridge.path=[turned20,turned40]")
    assert said.err == "transferlab: nothing to train: 6 of 6 found\n"


def test_what_is_recorded_asks_for_the_same_run(arguments: list[str], tmp_path: Path) -> None:
    from transferlab.config.reading import train_config
    from transferlab.experiment.run_files import plain

    given = [one for one in arguments if one != "bridge=auto"]
    config = rows_of(*given, "bridge.path=[turned40,turned20]", "bridge.turned40.degrees=41")[0].config
    recorded: dict[str, Any] = json.loads(json.dumps(plain(config)))
    again = train_config(recorded)
    assert again == config
    data = Data(("a", "b", "c", "d"), {})
    assert run_id(again, data) == run_id(config, data)


def test_other_classes_of_a_bridge_are_named(arguments: list[str], transferlab: Callable[..., Said]) -> None:
    given = [one for one in arguments if one != "bridge=auto"]
    said = transferlab("train", *given, "bridge=turned20", "bridge.turned20.named=false")
    assert said.code == 2
    assert "only turned20 has x" in said.err
    assert len(said.err.splitlines()) == 1
