"""`transferlab data`: what it says of each kind of input, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobs import TINY, Said
from made_folders import fill
from made_kinds import KINDS
from PIL import Image

Command = Callable[..., Said]

TITLES = {"signal": "Signals", "table": "Columns", "tokens": "Texts", "features": "Feature vectors"}


@pytest.fixture
def data(transferlab: Command, tmp_path: Path) -> Command:
    def run(*arguments: str) -> Said:
        return transferlab("data", *TINY, f"output_root={tmp_path / 'out'}", *arguments)

    return run


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """A command line for two folders of images with two classes."""
    fill(tmp_path / "A", count=12)
    fill(tmp_path / "B", first=50, count=12)
    paths = [f"source.path={tmp_path / 'A'}", f"target.path={tmp_path / 'B'}"]
    return ["source=folder", "target=folder", *paths, "image.size=8"]


def row(said: Said, first: str) -> list[str]:
    """The cells of a line of a table."""
    (line,) = [line for line in said.out.splitlines() if line.split()[:1] == [first]]
    return line.split()[1:]


def test_images_are_described_and_nothing_is_trained_or_written(data: Command, tmp_path: Path) -> None:
    said = data("target=digits")
    assert (said.code, said.err) == (0, "")
    for title in ("Labels", "Images", "Duplicates", "Odd images", "Training"):
        assert title in said.out.splitlines()
    assert "backbone=auto is lenet, optimizer=auto is sgd" in said.out
    assert not (tmp_path / "out").exists()


def test_pixels_of_folders_are_kept_in_the_cache_and_nothing_else(
    transferlab: Command, folders: list[str], tmp_path: Path
) -> None:
    said = transferlab("data", *folders, "steps=2", "bottleneck=8", "batch_size=4", f"output_root={tmp_path / 'out'}")
    assert said.code == 0, said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cache"]
    assert [path.name for path in (tmp_path / "out" / "cache").iterdir()] == ["images"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_described(kind: str, transferlab: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "domain"
    folder.mkdir(parents=True)
    for other, role in itertools.product(KINDS, ("source", "target")):
        options = f"kind: {other}\ntarget: {str(role == 'target').lower()}\nexamples: 90\n"
        (folder / f"{other}_{role}.yaml").write_text(f"_target_: made_kinds.made\nname: {other}_{role}\n{options}")
    mine = ["--config-dir", str(tmp_path / "mine"), "allow_packages=[made_kinds]", "steps=3", "bottleneck=8", "seeds=1"]
    job = [*mine, f"source={kind}_source", f"target={kind}_target", f"output_root={tmp_path / 'out'}"]
    said = transferlab("data", *job)
    assert said.code == 0, said.err
    assert TITLES[kind] in said.out.splitlines()
    assert "One run of dann seed 0 takes about" in said.out
    picture = tmp_path / "grid.png"
    drawn = transferlab("data", *job, f"grid={picture}")
    if kind == "signal":
        assert drawn.code == 0, drawn.err
        with Image.open(picture) as shown:
            assert shown.width > 100
    else:
        assert (drawn.code, drawn.out, picture.exists()) == (2, "", False)
        assert drawn.err.count("\n") == 1
        assert "can't be drawn" in drawn.err


def test_labels_that_are_numbers_are_described(transferlab: Command, tmp_path: Path) -> None:
    job = ["source=shifted_source", "target=shifted_target", "source.label=regression", "target.label=regression"]
    small = ["steps=3", "bottleneck=8", "seeds=1", f"output_root={tmp_path}", "strategy=finetune", "target_labels=30"]
    said = transferlab("data", *job, *small)
    assert said.code == 0, said.err
    assert "Labels are numbers." in said.out
    assert "target_labels=30: seed 0 draws 30 of the target's" in said.out


def test_it_says_how_it_is_used(transferlab: Command) -> None:
    said = transferlab("data", "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("transferlab data: says what transferlab train")
    alone = transferlab("data")
    assert (alone.code, alone.out) == (2, "")
    assert "transferlab data source=mnist5k target=digits" in alone.err
    assert alone.err.count("\n") == 1


REFUSED = {
    "a sweep": (["-m", "strategy=dann,dan"], "describes one job, and this is a sweep of 2"),
    "an unknown key": (["step=3"], "step"),
    "a picture of no format": (["grid=grid.txt"], "grid=grid.txt: expected a file name that ends with"),
    "a picture in no folder": (["grid=no/such/grid.png"], "there is no such folder"),
    "no picture": (["grid="], "grid=: expected a file name"),
    "no such data": (["source=mnst"], "mnist"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_refused_before_anything_is_said(arguments: list[str], words: str, data: Command) -> None:
    said = data(*arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("\n") <= 2


def test_data_that_train_refuses_are_described_first(data: Command, train_tiny: Command) -> None:
    job = ["target=rendered_letters", "target.examples=260", "target_labels_per_class=1"]
    said, refused = data(*job), train_tiny(*job)
    assert (said.code, refused.code) == (2, 2)
    assert said.err == refused.err
    assert "Labels" in said.out
    assert "Odd images" in said.out
    assert "Training" not in said.out


def test_a_run_that_is_there_is_not_counted_again(train_tiny: Command, transferlab: Command, tmp_path: Path) -> None:
    assert train_tiny("baselines=[]").code == 0
    before = sorted(path for path in tmp_path.rglob("*"))
    said = transferlab("data", *TINY, f"output_root={tmp_path}", "baselines=[]")
    assert "train means 1 run: dann (1); 1 is done already." in said.out
    assert "The whole command" not in said.out
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_bridge_is_described_like_the_others(data: Command) -> None:
    said = data("strategy=transitive", "bridge=mnist5k", "baselines=[]")
    assert said.code == 0, said.err
    assert "bridge=mnist5k" in said.out
    assert row(said, "all")[-2:] == ["3,500", "1,500"]


def test_copies_are_found_and_named(transferlab: Command, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for side, name in (("A", "cat"), ("A", "dog"), ("B", "cat"), ("B", "dog")):
        (tmp_path / side / name).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
            picture.save(tmp_path / side / name / f"{number}.png")
    with Image.open(tmp_path / "A" / "cat" / "3.png") as picture:
        picture.save(tmp_path / "B" / "dog" / "again.jpg", quality=60)
    Image.fromarray(np.zeros((64, 300), np.uint8)).save(tmp_path / "A" / "dog" / "black.png")
    (tmp_path / "A" / "dog" / "notes.txt").write_text("")
    job = [f"source.path={tmp_path / 'A'}", f"target.path={tmp_path / 'B'}", "source=folder", "target=folder"]
    said = transferlab("data", *job, "image.size=32", "steps=2", "seeds=1", f"output_root={tmp_path / 'out'}")
    assert said.code == 0, said.err
    assert "Nearly the same is 1 pair of images: cat/3.png and dog/again.jpg." in said.out
    assert "two different classes, of which one may be wrong: cat/3.png (cat) and dog/again.jpg (dog)." in said.out
    assert "source=A: 1 image is of one colour: dog/black.png." in said.out
    assert "source=A: 1 image is at least 3 times as long as wide" in said.out
    assert "left out: 1 file that is no image (.txt 1)." in said.out


def test_the_same_data_twice_are_said_to_be_the_same(transferlab: Command, tmp_path: Path) -> None:
    said = transferlab("data", *TINY[2:], "source=digits", "target=digits", f"output_root={tmp_path}")
    assert said.code == 0, said.err
    assert "1797 of the 1797 different images of target=digits are source=digits's too" in said.out
    assert "No images are the same" not in said.out


def test_without_imagehash_a_line_says_what_to_install(data: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    said = data()
    assert said.code == 0, said.err
    assert 'Near duplicates need imagehash, which is an extra: pip install "transferlab[data]"' in said.out
    assert "Training" in said.out.splitlines()
