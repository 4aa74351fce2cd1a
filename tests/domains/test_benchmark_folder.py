"""Benchmarks of image folders: each in its usual layout, what is refused, and a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import made_benchmarks as made
import numpy as np
import pytest
from jobs import TINY, Said, results, rows_of
from made_folders import pixels

from transferlab.config.search_path import config_root
from transferlab.domains.benchmark_layouts import BENCHMARKS
from transferlab.domains.domain import Domain
from transferlab.domains.loading import load, loaded
from transferlab.errors import Refusal

CLASSES = ("back_pack", "bike", "mug")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Domain]:
    def read(name: str, domain: str, *options: str) -> Domain:
        load.cache_clear()
        words = [f"target.root={tmp_path}", f"target.domain={domain}", "image.size=8", f"output_root={tmp_path}/out"]
        return loaded("target", rows_of(f"target={name}", *words, *options)[0].config.target)

    return read


@pytest.mark.parametrize(
    ("benchmark", "domain", "folder"),
    [
        ("office31", "amazon", "amazon/images"),
        ("office31", "webcam", "webcam"),
        ("office_home", "real_world", "Real World"),
        ("office_home", "real_world", "Real_World"),
        ("office_home", "real_world", "RealWorld"),
        ("office_home", "art", "Art"),
        ("office_caltech", "caltech", "caltech10"),
        ("office_caltech", "caltech", "caltech"),
        ("office_caltech", "dslr", "dslr"),
        ("visda2017", "train", "train"),
        ("visda2017", "validation", "validation"),
        ("pacs", "art_painting", "kfold/art_painting"),
        ("pacs", "photo", "photo"),
    ],
)
def test_a_folder_per_class(
    tmp_path: Path, read: Callable[..., Domain], benchmark: str, domain: str, folder: str
) -> None:
    names = ("car", "plant", "train") if benchmark == "visda2017" else CLASSES
    made.class_folders(tmp_path / folder, names, count=2)
    (tmp_path / "other").mkdir()
    (tmp_path / folder / "image_list.txt").write_text("car/frame_0000.jpg 3\n")
    result = read(benchmark, domain)
    assert result.class_names == names
    assert result.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(result.inputs, [pixels(100 * label + one) for label in range(3) for one in range(2)])
    assert result.test is None
    assert f"3 classes are here; published were {BENCHMARKS[benchmark].classes}" in result.remarks
    assert BENCHMARKS[benchmark].here(tmp_path) == [domain]


def test_the_test_part_of_visda_has_its_labels_in_a_list(tmp_path: Path, read: Callable[..., Domain]) -> None:
    for number, trunk in enumerate(("trunk00", "trunk01")):
        made.picture(tmp_path / "test" / trunk / "a.jpg", number)
    with pytest.raises(Refusal, match=r"image_list.txt, which has the labels, isn't there. Expected: train/<class>"):
        read("visda2017", "test")
    (tmp_path / "test" / "image_list.txt").write_text("trunk01/a.jpg 10\ntrunk00/a.jpg 0\n")
    result = read("visda2017", "test")
    assert [result.class_names[label] for label in result.labels] == ["train", "aeroplane"]
    assert np.array_equal(result.inputs, [pixels(1), pixels(0)])


@pytest.mark.parametrize("place", ["", "txt"])
def test_domainnet_by_its_lists(tmp_path: Path, read: Callable[..., Domain], place: str) -> None:
    with pytest.raises(Refusal, match=r"there is no folder of sketch in .*Expected: <domain>/<class>/"):
        read("domainnet", "sketch")
    made.class_folders(tmp_path / "sketch", CLASSES, count=3)
    with pytest.raises(Refusal, match=r"sketch_train.txt and sketch_test.txt are not both in"):
        read("domainnet", "sketch")
    (tmp_path / place).mkdir(exist_ok=True)
    lines = [f"sketch/{name}/frame_{one:04}.jpg {2 * label}" for label, name in enumerate(CLASSES) for one in range(3)]
    (tmp_path / place / "sketch_train.txt").write_text("\n".join(lines[0:2] + lines[3:5] + lines[6:8]) + "\n")
    (tmp_path / place / "sketch_test.txt").write_text("\n".join(lines[2::3]) + "\n")
    result = read("domainnet", "sketch")
    assert result.class_names == CLASSES
    assert result.labels.tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert result.test is not None
    assert result.test.tolist() == [False] * 6 + [True] * 3
    assert np.array_equal(result.inputs[0], pixels(0))
    assert np.array_equal(result.inputs[6], pixels(2))
    (tmp_path / place / "sketch_test.txt").write_text("sketch/mug/frame_0002.jpg 0\n")
    with pytest.raises(Refusal, match="0 is the number of back_pack and mug"):
        read("domainnet", "sketch")
    (tmp_path / place / "sketch_test.txt").write_text("sketch/mug/frame_0002.jpg\n")
    with pytest.raises(Refusal, match="not <domain>/<class>/<image> <number>"):
        read("domainnet", "sketch")


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, read: Callable[..., Domain], benchmark: str) -> None:
    domain = next(iter(BENCHMARKS[benchmark].domains))
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Refusal) as refusal:
            read(benchmark, domain, f"target.root={root}")
        text = str(refusal.value)
        assert f"target={domain}: there is no folder of {domain} in {root}. Expected: " in text
        assert f"transferlab data prepare {benchmark} says where to get it" in text
        assert "\n" not in text
    assert f"\nroot: data/{benchmark} #" in (config_root() / "domain" / f"{benchmark}.yaml").read_text()


def test_domains_are_refused_by_name(tmp_path: Path, read: Callable[..., Domain]) -> None:
    with pytest.raises(Refusal, match=r"domain: no value given; office31 has amazon, dslr, webcam$"):
        read("office31", "null")
    with pytest.raises(Refusal, match=r"domain=Webcm: no such name. Did you mean webcam\? Choices: amazon, dslr"):
        read("office31", "Webcm")
    made.class_folders(tmp_path / "RealWorld", CLASSES, count=1)
    made.class_folders(tmp_path / "Real World", CLASSES, count=1)
    with pytest.raises(Refusal, match="Real World and RealWorld are both real_world; move one of them away"):
        read("office_home", "real_world")


def test_classes_can_be_chosen(tmp_path: Path, read: Callable[..., Domain]) -> None:
    made.class_folders(tmp_path / "amazon", CLASSES, count=2)
    result = read("office31", "amazon", "target.classes={bag: back_pack, mug: mug}", "target.others=drop")
    assert result.class_names == ("bag", "mug")


def test_a_run_from_amazon_to_webcam(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    made.class_folders(tmp_path / "amazon" / "images", CLASSES)
    made.class_folders(tmp_path / "webcam", CLASSES, first=50)
    tiny = ["steps=2", "snapshots=1", *(word for word in TINY if not word.startswith(("source", "steps", "snap")))]
    places = [f"{role}.root={tmp_path}" for role in ("source", "target")]
    domains = ["source=office31", "source.domain=amazon", "target=office31", "target.domain=webcam"]
    out = f"output_root={tmp_path / 'out'}"
    done = transferlab("train", *domains, *places, out, *tiny, "baselines=[]", "strategy=dann")
    assert done.code == 0, done.err
    assert results(tmp_path / "out")
    assert (tmp_path / "out" / "runs" / "amazon-to-webcam").is_dir()
