"""What a folder of folders means, and what can't be meant; files by name alone, no image is decoded."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from transferlab.domains.arrays import UNLABELLED
from transferlab.domains.layout import every_image, layout
from transferlab.errors import Refusal

PNG = b"\x89PNG\r\n\x1a\n"


def laid(root: Path, *folders: str, count: int = 2) -> Path:
    """Folders with ``count`` files each that begin as PNGs; none in those that end with a slash."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for one in range(0 if folder.endswith("/") else count):
            (root / folder / f"{one}.png").write_bytes(PNG)
    return root


SPLIT_NAMES = [
    ("train", "test"),
    ("Train", "Test"),
    ("training", "testing"),
    ("TRAIN", "valid"),
    ("train", "validation"),
    ("train", "dev"),
    ("training_set", "test_set"),
    ("train", "eval"),
    ("trainset", "Evaluation"),
    ("train2017", "val2017"),
    ("train", "test_images"),
    ("train_images", "test-images"),
    ("TrainImages", "TestImages"),
    ("train_data_set_2", "validate"),
    ("trn", "tst"),
    ("train", "test1"),
    ("train", "tests"),
    ("train", "validation_images"),
    ("train", "holdout"),
    ("train folder", "held_out"),
    ("train", "held-out imgs"),
]


@pytest.mark.parametrize("names", SPLIT_NAMES)
def test_folders_of_splits_are_known_by_any_of_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    files = layout(laid(tmp_path, *(f"{name}/{kind}" for name in names for kind in "ab")))
    assert files.class_names == ("a", "b")
    assert files.test == [False] * 4 + [True] * 4
    assert files.names[0] == f"{names[0]}/a/0.png"
    assert files.remarks == ()


def test_a_class_in_two_unicode_forms_is_one_in_both_splits(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    folders = [f"train/{composed}", "train/cafz", f"test/{apart}", "test/cafz"]
    files = layout(laid(tmp_path, *folders, count=1))
    assert files.class_names == ("cafz", composed)
    assert files.names == ["train/cafz/0.png", f"train/{composed}/0.png", "test/cafz/0.png", f"test/{apart}/0.png"]
    assert files.labels == [0, 1, 0, 1]


def test_test_comes_before_validation_and_what_is_not_read_is_said(tmp_path: Path) -> None:
    files = layout(laid(tmp_path, *(f"{name}/{kind}" for name in ("Train", "Valid", "Test") for kind in "ab")))
    assert not any("Valid" in name for name in files.names)
    assert files.remarks == ("left out: all of Valid/, for there is a test split",)


def test_a_train_among_vehicles_is_a_class(tmp_path: Path) -> None:
    assert layout(laid(tmp_path, "bus", "car", "train")).class_names == ("bus", "car", "train")


REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "one class": (["images"], ["one class only, images", "2 images", "level too low"]),
    "one class, the level too high": (["images/cat", "images/dog"], ["one class only", "cat, dog", "level too high"]),
    "splits that hold images": (["train", "valid"], ["train/", "split", "2 images"]),
    "one of the splits holds images": (["train/a", "train/b", "Test"], ["Test/", "split"]),
    "a split alone": (["train/a", "train/b"], ["train/ without a test/"]),
    "a training split alone": (["Training"], ["Training/ is a split"]),
    "no training split": (["val/a", "test/a"], ["test, val", "without a train/"]),
    "the same split twice": (["train/a", "training/a", "test/a"], ["train, training", "same split"]),
    "splits beside others": (["train/a", "test/a", "labels"], ["labels"]),
    "flat splits beside others": (["train", "test", "other"], ["other", "splits"]),
    "a held-out split beside classes": (
        ["cat", "dog", "test"],
        ["test is a split of a data set, and cat, dog beside it"],
    ),
    "splits below classes": (["cat/train", "cat/test", "dog/train"], ["cat/test", "level too high"]),
    "splits below a split": (["train/train", "train/test", "test/train", "test/test"], ["splits"]),
    "a segmentation": (["images", "masks"], ["images, masks"]),
    "results beside classes": (["cat", "dog", "Results"], ["Results", "beside cat, dog"]),
    "what macOS leaves": (["cat", "dog", "__MACOSX/"], ["__MACOSX"]),
    "junk below a split": (["train/a", "train/b", "train/__MACOSX", "test/a", "test/b"], ["__MACOSX"]),
    "annotations": (["cat", "dog", "annotations/"], ["annotations"]),
    "a segmentation in the singular": (["image", "mask"], ["image, mask"]),
    "splits of COCO without classes": (["train2017", "val2017"], ["train2017/ is a split, and holds 2 images"]),
    "numbered splits": (["train/a", "test1/a", "test2/a"], ["test1, test2", "same split"]),
    "an empty class": (["cat", "dog", "cow/"], ["class cow", "no images", "empty"]),
    "images deeper in all classes": (["cat/1", "dog/2"], ["class cat", "cat/1", "2 images"]),
    "images at mixed depth": (["cat", "pets/dog", "pets/cow"], ["class pets", "pets/cow, pets/dog"]),
    "deeper images beside others": (
        ["cat", "cat/more/yet", "dog"],
        ["class cat: 2 images", "2 images in cat/more/yet"],
    ),
    "splits that differ in case": (
        ["train/Cat", "train/b", "test/cat", "test/b"],
        ["same classes: Cat, cat; 'Cat' and 'cat' differ only in upper and lower case"],
    ),
    "splits that differ in a blank": (
        ["train/cat", "train/b", "test/cat ", "test/b"],
        ["'cat' and 'cat ' differ only in blanks"],
    ),
    "names alike in one of the splits": (
        ["train/a", "train/b", "test/a", "test/b", "test/b\u200b"],
        ["'b' and 'b\\u200b'"],
    ),
    "names alike but for a blank": (["cat", "cat\u200b", "dog"], ["'cat' and 'cat\\u200b'", "don't show"]),
    "names alike but for their form": (["caf\u00e9", "cafe\u0301", "dog"], ["Unicode form", "e\\u0301"]),
}


@pytest.mark.parametrize(("folders", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, folders: list[str], words: list[str]) -> None:
    with pytest.raises(Refusal) as refusal:
        layout(laid(tmp_path, *folders))
    text = str(refusal.value)
    assert "\n" not in text
    for word in words:
        assert word in text


NO_CLASSES = ["mask", "label", "annotation", "thumbnail", "Ground Truth", "ground-truth", "JPEGImages", "ImageSets"]
NO_CLASSES += ["SegmentationClass", "SegmentationObject", "Annotations", "System Volume Information", "img", "logs"]


@pytest.mark.parametrize("name", NO_CLASSES)
def test_a_folder_that_lies_beside_classes_is_refused_whatever_its_case_and_number(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refusal, match=f"{name} beside cat, dog: folders of such names are no classes"):
        layout(laid(tmp_path, "cat", "dog", name))


def test_words_of_their_own_are_classes(tmp_path: Path) -> None:
    words = ["cache", "class", "figure", "glass", "log", "plots", "set", "testimony", "thumb", "trains", "values", "7"]
    assert layout(laid(tmp_path / "words", *words)).class_names == tuple(sorted(words))
    for name in ("no_mask", "Without Mask"):
        assert len(layout(laid(tmp_path / name, name, "mask")).class_names) == 2


def test_a_single_class_of_a_split_is_not_sent_to_the_path_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"one class only, cat: .* It holds 2 images and no folder: sort them by class$"):
        layout(laid(tmp_path / "flat", "train/cat", "test/cat"))
    with pytest.raises(Refusal, match=r"It holds the folders a, b: a level too high\? Then move them up$"):
        layout(laid(tmp_path / "deep", "train/all/a", "train/all/b", "test/all/a", "test/all/b"))


def test_images_without_folders_have_no_labels_and_may_be_a_level_too_low(tmp_path: Path) -> None:
    files = layout(laid(tmp_path, "."))
    assert (files.class_names, files.labels, files.test) == ((), [UNLABELLED] * 2, None)
    assert re.search("holds images, and no folder per class: a level too low", files.remarks[0])


def test_every_image_at_any_depth_is_listed_once(tmp_path: Path) -> None:
    laid(tmp_path, ".", "2024/may", "2024", "test")
    (tmp_path / "2024" / "loop").symlink_to(tmp_path)
    files = every_image(tmp_path)
    assert len(files.names) == len(set(files.names)) == 8
    assert all((tmp_path / name).is_file() for name in files.names)
    assert set(files.labels) == {UNLABELLED}
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refusal, match="no images in it"):
        every_image(tmp_path / "empty")


def test_a_class_that_is_not_utf_8_is_refused_readably(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(Refusal) as refusal:
        layout(laid(tmp_path, "cat", "dog"))
    assert "'caf\\udce9' is not UTF-8" in str(refusal.value)
    str(refusal.value).encode()


def test_escape_codes_in_names_do_not_reach_a_message(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        layout(laid(tmp_path, "cat", "\x1b[31mred/"))
    assert "\x1b" not in str(refusal.value)
    assert "\\x1b[31mred" in str(refusal.value)


HEADS = {
    "jfif": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "none": b"\xff\xd8\xff\xe1",
    "GIF.unknown": b"GIF89a",
    "avif.x": b"\0\0\0\x1cftypavif",
    "webp.x": b"RIFF\x10\0\0\0WEBPVP8 ",
    "tiff.x": b"II*\0",
    "bmp.x": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "pgm.x": b"P5 8 8 255\n",
    "harmed.JPE": b"no image, but named as one",
    "empty.heic": b"",
}
OTHERS = {
    "notes.txt": PNG,
    "Thumbs.db": b"",
    "table.csv": b"",
    "readme": b"BMI and other figures",
    "p": b"P5 is a mask",
    "sound.x": b"RIFF\x10\0\0\0WAVEfmt ",
    "photo.png~": PNG,
    "photo.png.part": PNG,
    "raw.dng": b"II*\0",
    "scan.dcm": b"\0" * 128 + b"DICM",
}


def test_files_are_images_by_ending_or_by_content_and_the_others_are_counted(tmp_path: Path) -> None:
    laid(tmp_path, "a", "b")
    for name, head in (HEADS | OTHERS).items():
        (tmp_path / "a" / name).write_bytes(head)
    (tmp_path / "0.png").write_bytes(PNG)
    files = layout(tmp_path)
    assert {name[2:] for name in files.names if name[0] == "a"} == {*HEADS, "0.png", "1.png"}
    (remark,) = files.remarks
    assert remark.startswith("left out: 10 files that are no images (no ending 2, .csv 1, .db 1, ")
    assert remark.endswith(", 1 image outside class folders")


def test_pipes_sockets_and_devices_are_not_opened_and_links_are_followed(tmp_path: Path) -> None:
    root = laid(tmp_path / "root", "a", "b")
    laid(tmp_path / "elsewhere", "c")
    os.mkfifo(root / "a" / "pipe.png")
    os.mkfifo(root / "a" / "pipe")
    (root / "a" / "zero.png").symlink_to("/dev/zero")
    (root / "a" / "nothing.png").symlink_to("nowhere")
    (root / "a" / "round.png").symlink_to("round.png")
    (root / "b" / "linked.png").symlink_to(tmp_path / "elsewhere" / "c" / "0.png")
    (root / "b" / "up").symlink_to(root / "b")
    (root / "c").symlink_to(tmp_path / "elsewhere" / "c")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root / "a")  # the path of a socket is short
        listener.bind("socket.png")
        os.chdir(here)
        files = layout(root)
    assert files.class_names == ("a", "b", "c")
    assert [name for name in files.names if name[0] != "a"] == [
        "b/0.png",
        "b/1.png",
        "b/linked.png",
        "c/0.png",
        "c/1.png",
    ]
    assert files.remarks == (
        "left out: 7 files that are no images (no ordinary files 4, links to nothing 2, folders without images 1)",
    )


@pytest.mark.parametrize("place", ["train/z", "eval", "test/z.1"])
def test_a_link_to_nothing_in_the_place_of_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    laid(tmp_path, "train/a", "train/b", *([] if place == "eval" else ["test/a", "test/b"]))
    (tmp_path / place).symlink_to("/nowhere/z")
    with pytest.raises(Refusal, match=f": {place} is a link to nothing: mend or remove it"):
        layout(tmp_path)
    (tmp_path / f"{place}z").symlink_to(f"{place.rpartition('/')[2]}z")
    with pytest.raises(Refusal, match=f": {place}, {place}z are links to nothing: mend or remove them"):
        layout(tmp_path)


def test_what_lies_beside_classes_and_splits_is_counted_too(tmp_path: Path) -> None:
    flat, split = laid(tmp_path / "flat", "a", "b"), laid(tmp_path / "split", "train/a", "train/b", "test/a", "test/b")
    for place in ("flat/z.zip", "split/readme.md", "split/0.png", "split/train/z.zip", "split/test/1"):
        (tmp_path / place).write_bytes(PNG if place.endswith(".png") else b"")
    (flat / "list.txt").symlink_to("nowhere")
    assert layout(flat).remarks == ("left out: 2 files that are no images (.zip 1, links to nothing 1)",)
    (remark,) = layout(split).remarks
    assert remark == (
        "left out: 3 files that are no images (.md 1, .zip 1, no ending 1), 1 image outside class folders"
    )


def test_a_link_to_a_folder_above_does_not_hang(tmp_path: Path) -> None:
    laid(tmp_path, "a", "b")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    with pytest.raises(Refusal, match=r"class a: 2 images in its folder, and .* in a/up/b"):
        layout(tmp_path)
