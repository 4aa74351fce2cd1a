"""Folders of image files: layouts, what is refused, and runs of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobs import Said, results, rows_of
from made_folders import fill, pixels
from PIL import Image

from transferlab.config.identity import Data, run_id
from transferlab.domains.domain import Domain
from transferlab.domains.splits import split
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.inputs.lazy import LazyArray


def test_a_folder_is_its_images_in_order_of_name_mapped(photos: Path, load: Callable[..., Domain]) -> None:
    for ignored in (".hidden.png", "notes.txt"):
        (photos / "a" / ignored).write_text("no image")
    (photos / ".cache").mkdir()
    domain = load(photos)
    assert isinstance(domain.inputs, np.memmap)
    assert domain.class_names == ("a", "b")
    assert domain.labels.tolist() == [0] * 10 + [1] * 10
    assert domain.test is None
    assert np.array_equal(domain.inputs, [pixels(100 * label + one) for label in (0, 1) for one in range(10)])


@pytest.mark.parametrize(("second", "third"), [("test", None), ("val", None), ("test", "val")])
def test_train_and_test_folders_are_the_test_mask(
    tmp_path: Path, load: Callable[..., Domain], second: str, third: str | None
) -> None:
    fill(tmp_path / "photos" / "train", count=3)
    fill(tmp_path / "photos" / second, count=2, first=50)
    if third:
        fill(tmp_path / "photos" / third, count=4, first=70)
    domain = load(tmp_path / "photos")
    assert domain.test is not None
    assert domain.test.tolist() == [False] * 6 + [True] * 4
    assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert np.array_equal(domain.inputs[6], pixels(50))


def test_no_identity_depends_on_the_place(tmp_path: Path, photos: Path) -> None:
    shutil.copytree(photos, tmp_path / "moved" / "photos", copy_function=shutil.copyfile)

    arguments = ["target=mnist5k", "image.size=8"]
    prints = []
    for path, out in ((photos, "one"), (tmp_path / "moved" / "photos", "two")):
        config = rows_of("source=folder", f"source.path={path}", f"output_root={tmp_path / out}", *arguments)[0]
        prints.append(run_id(config.config, Data(load_task(config.config).fingerprints, {})))
        assert config.setting == f"image.size=8, source.path={path}", "what follows another key isn't said twice"
    assert prints[0] == prints[1]


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"these are words",
    "cut.png": None,
}


@pytest.fixture
def broken(photos: Path) -> Path:
    whole = (photos / "a" / "00.png").read_bytes()
    for name, content in BROKEN.items():
        (photos / "a" / name).write_bytes(whole[:60] if content is None else content)
    return photos


def test_files_that_cannot_be_read_are_refused_by_name_or_left_out(
    broken: Path, load: Callable[..., Domain], said: list[str]
) -> None:
    with pytest.raises(Refusal) as refusal:
        load(broken)
    assert (
        "3 of 23 images can't be read: a/cut.png (image file is truncated), a/empty.png (an empty file), "
        "a/text.jpg (not an image that Pillow knows)\n" in str(refusal.value)
    )
    assert "skip_unreadable=true" in str(refusal.value)
    assert str(refusal.value).count("\n") == 1
    domain = load(broken, skip_unreadable=True)
    assert len(said) == 1
    assert isinstance(domain.inputs, LazyArray)
    assert np.bincount(domain.labels).tolist() == [10, 10]
    assert np.array_equal(np.asarray(domain.inputs)[10], pixels(100))
    (broken / "b" / "x.png").write_bytes(b"")
    with pytest.raises(Refusal, match=r"4 of 24 images can't be read: a/cut.png .*, a/empty.png .*, a/text.jpg .*, …"):
        load(broken)


def test_a_decompression_bomb_counts_as_unreadable(
    photos: Path, load: Callable[..., Domain], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(pixels(0, 100, 100)).save(photos / "a" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7000)
    load(photos, cache=str(photos.parent / "warned"))  # Pillow only warns, from here to twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(Refusal, match=r"1 of 21 .* a/bomb.png"):
        load(photos)


def _split_apart(root: Path) -> None:
    shutil.rmtree(root)
    fill(root / "train", "ab")
    fill(root / "test", "ac")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda root: [shutil.rmtree(root / name) for name in "ab"], "expected a folder of images per class"),
        (lambda root: (root / "c").mkdir(), "class c: its folder has no images"),
        (_split_apart, "train/ and test/ have not the same classes: b, c"),
    ],
)
def test_folders_without_classes_or_images_are_refused(
    photos: Path, load: Callable[..., Domain], spoil: Callable[[Path], object], words: str
) -> None:
    spoil(photos)
    with pytest.raises(Refusal, match=words):
        load(photos)


@pytest.mark.parametrize(("option", "words"), [({"channels": 2}, "channels=2"), ({"size": 0}, "size=0")])
def test_options_out_of_range_are_refused(
    photos: Path, load: Callable[..., Domain], option: dict[str, int], words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        load(photos, **option)


def test_splits_of_a_folder_are_those_of_the_same_images_in_memory(photos: Path, load: Callable[..., Domain]) -> None:
    mapped = load(photos)
    plain = Domain(np.array(mapped.inputs), mapped.labels, mapped.class_names)
    (one, test), (other, same) = split(mapped, mapped, 3, 0), split(plain, plain, 3, 0)
    for name in ("source", "source_validation", "target_labelled", "target_unlabelled", "target_test_unlabelled"):
        images = one.stream(name).inputs
        assert isinstance(images, LazyArray)
        assert np.asarray(images).tobytes() == np.asarray(other.stream(name).inputs).tobytes()
    assert np.asarray(test.inputs).tobytes() == np.asarray(same.inputs).tobytes()


IN_MEMORY = """
import numpy as np
from transferlab.domains.domain import Domain
from transferlab.domains.folder import folder

def photos(*, path: str, size: int, cache: str) -> Domain:
    mapped = folder(path=path, size=size, channels=3, skip_unreadable=False, cache=cache)
    return Domain(np.array(mapped.inputs), mapped.labels, mapped.class_names, mapped.test, names=mapped.names)
"""

METHODS = ["dann", "drcn", "adabn", "finetune"]


@pytest.mark.parametrize("strategy", METHODS)
def test_a_run_is_that_of_the_same_images_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transferlab: Callable[..., Said], strategy: str
) -> None:
    (tmp_path / "photos_in_memory.py").write_text(IN_MEMORY)
    (tmp_path / "domain").mkdir()
    options = "path: ???\nsize: ${image.size}\ncache: ${output_root}\n"
    (tmp_path / "domain" / "plain.yaml").write_text(f"_target_: photos_in_memory.photos\nname: plain\n{options}")
    monkeypatch.syspath_prepend(str(tmp_path))
    fill(tmp_path / "A", count=20)
    fill(tmp_path / "B", count=20, first=50)
    found = []
    for name in ("folder", "plain"):
        arguments = [
            f"source={name}",
            f"target={name}",
            f"source.path={tmp_path / 'A'}",
            f"target.path={tmp_path / 'B'}",
        ]
        tiny = ["image.size=8", "bottleneck=16", "steps=4", "snapshots=2", "batch_size=16", "seeds=1", "baselines=[]"]
        own = ["--config-dir", str(tmp_path), "allow_packages=[photos_in_memory]", f"output_root={tmp_path / name}"]
        done = transferlab("train", f"strategy={strategy}", *own, *arguments, *tiny)
        assert done.code == 0, done.err
        (result,) = results(tmp_path / name)
        weights = next((tmp_path / name).glob("runs/**/model.safetensors")).read_bytes()
        found.append((result["metrics"], result["selection"], weights))
    assert found[0] == found[1]
