"""From providers' domains to a pair's splits: conversions, class order, budgets, and who sees what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import Said, rows_of
from made_folders import fill

from transferlab.domains.digits import digits
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.multi import in_order
from transferlab.domains.overlaps import overlaps
from transferlab.domains.splits import Unlabelled, refuse_budget, split
from transferlab.domains.task import load_task
from transferlab.errors import Refusal
from transferlab.images.resizing import resized, with_channels


def _domain(labels: list[int], classes: int = 3) -> Domain:
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Domain(images, np.array(labels), tuple(f"c{i}" for i in range(classes)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"inputs": np.zeros((0, 2, 2, 1), np.uint8), "labels": np.zeros(0, np.int64)}, "no examples"),
        ({"inputs": np.zeros((3, 2, 2, 1), np.float32)}, "uint8"),
        ({"inputs": np.zeros((3, 2, 2, 2), np.uint8)}, "1 or 3"),
        ({"inputs": np.zeros((3, 4), np.uint8)}, "uint8"),
        ({"labels": np.array([0, 1])}, "labels of shape"),
        ({"labels": np.array([0, 1, 3])}, "from 0 to 3"),
        ({"labels": np.array([0, 1, -1])}, "from -1"),
        ({"class_names": ("a", "b", "a")}, "repeat"),
        ({"test": np.array([True])}, "test mask"),
    ],
)
def test_what_is_no_domain_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        replace(_domain([0, 1, 2]), **wrong)


def test_an_empty_domain_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "empty_domain.py").write_text(
        "import numpy as np\nfrom transferlab.domains.domain import Domain\n"
        "def empty(): return Domain(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int64), ('a',))\n"
    )
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "empty.yaml").write_text("_target_: empty_domain.empty\nname: empty\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = rows_of("--config-dir", str(tmp_path), "source=empty", "allow_packages=[empty_domain]")[0].config
    with pytest.raises(Refusal, match="source=empty: the domain has no examples"):
        load_task(config)


def test_resizing_keeps_flat_images_flat_and_order() -> None:
    images = np.stack([np.full((5, 7, 3), value, np.uint8) for value in (10, 200)])
    out = resized(images, 12)
    assert out.shape == (2, 12, 12, 3)
    assert out.dtype == np.uint8
    assert [np.unique(image).tolist() for image in out] == [[10], [200]]


def test_shrinking_averages() -> None:
    checkerboard = (np.indices((8, 8)).sum(0) % 2 * 200).astype(np.uint8)[None, :, :, None]
    assert np.abs(resized(checkerboard, 2).astype(int) - 100).max() <= 10


def test_channels() -> None:
    grey = np.array([[[[7]]]], np.uint8)
    assert with_channels(grey, 3).tolist() == [[[[7, 7, 7]]]]
    assert with_channels(np.array([[[[255, 0, 0]]]], np.uint8), 1).item() == round(0.299 * 255)
    assert with_channels(with_channels(grey, 3), 1).item() == 7


def test_auto_channels_are_the_larger_of_the_two() -> None:
    grey = load_task(rows_of("source=rendered_digits", "source.examples=50")[0].config)
    colour = load_task(rows_of("source=mnist5k_m", "target=digits")[0].config)
    assert grey.source.inputs.shape[1:] == grey.target.inputs.shape[1:] == (16, 16, 1)
    assert colour.source.inputs.shape[1:] == colour.target.inputs.shape[1:] == (16, 16, 3)


def test_classes_are_matched_by_name() -> None:
    domain = Domain(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 1, 2]), ("cat", "dog", "ant"))
    ordered = in_order(domain, ("ant", "cat", "dog"))
    assert [ordered.class_names[label] for label in ordered.labels] == ["cat", "dog", "ant"]


def test_fingerprints_follow_content() -> None:
    def prints(*arguments: str) -> tuple[str, str]:
        return load_task(rows_of("source=rendered_digits", *arguments)[0].config).fingerprints

    assert prints("source.examples=50") == prints("source.examples=50", "image.size=9")
    assert prints("source.examples=50")[0] != prints("source.examples=51")[0]
    assert prints("source.examples=50")[1] == prints("source.examples=51")[1]


def test_the_test_split_is_fixed_stratified_and_the_providers_own_where_there_is_one() -> None:
    domain = digits()
    mask = test_mask(domain)
    assert np.array_equal(mask, test_mask(domain))
    shares = np.bincount(domain.labels[mask]) / np.bincount(domain.labels)
    assert np.abs(shares - 0.3).max() < 0.01
    own = np.arange(len(domain.labels)) < 100
    assert np.array_equal(test_mask(replace(domain, test=own)), own)


STREAMS = ["source", "source_validation", "target_labelled", "target_unlabelled"]


@given(seed=st.integers(0, 1000), budget=st.integers(0, 5))
def test_splits_keep_apart_what_must_be(seed: int, budget: int) -> None:
    domain = _domain([0, 1, 2] * 20)
    training, test = split(domain, domain, budget, seed)
    number = {name: set(training.stream(name).inputs[:, 0, 0, 0].tolist()) for name in STREAMS}
    held_out = set(test.inputs[:, 0, 0, 0].tolist())
    everything = set(range(60))
    assert held_out == set(test.indices.tolist())
    assert number["target_unlabelled"] == everything - held_out
    assert number["target_labelled"] <= number["target_unlabelled"]
    assert np.bincount(training.target_labelled.labels, minlength=3).tolist() == [budget] * 3
    assert number["source"] | number["source_validation"] == everything - held_out
    assert not number["source"] & number["source_validation"]
    assert np.array_equal(training.source.labels, training.source.inputs[:, 0, 0, 0] % 3)
    assert np.array_equal(test.labels, test.indices % 3)


def test_the_seed_draws_the_splits_and_nothing_else_does() -> None:
    domain = digits()
    first, again, other = (split(domain, domain, 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(first[0].target_labelled.inputs, again[0].target_labelled.inputs)
    assert not np.array_equal(first[0].target_labelled.inputs, other[0].target_labelled.inputs)
    assert not np.array_equal(first[0].source_validation.labels, other[0].source_validation.labels)
    assert np.array_equal(first[1].indices, other[1].indices)
    assert len(split(domain, domain, "all", 0)[0].target_labelled.labels) == (~test_mask(domain)).sum()


def test_unlabelled_examples_have_no_field_for_labels() -> None:
    assert [field.name for field in fields(Unlabelled)] == ["inputs"]


def test_budgets_larger_than_a_class_name_it() -> None:
    domain = _domain([0] * 20 + [1] * 20 + [2] * 4)
    refuse_budget(domain, "mine", 3)
    with pytest.raises(Refusal, match=r"target_labels_per_class=4: mine has fewer training examples of c2 \(3\)"):
        refuse_budget(domain, "mine", 4)
    with pytest.raises(Refusal, match=r"target=mine.*test examples of c2 \(0\)"):
        refuse_budget(_domain([0, 1, 0, 1, 0, 1, 2] * 1), "mine", "all")


def test_test_images_that_training_data_hold_too_are_counted_by_part(
    monkeypatch: pytest.MonkeyPatch, transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    """Two of the target's four test images are among its training images, one of them twice, and one in the source."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    test = np.arange(40) >= 36
    target = pixels.copy()
    target[[0, 1, 2]] = pixels[[36, 36, 37]]
    source = pixels[::-1].copy()
    source[:4] = 0
    source[5] = pixels[39]
    labels = np.arange(40) // 20
    domains = {"digits": Domain(target, labels, ("0", "1"), test), "mnist5k": Domain(source, labels, ("0", "1"), test)}
    monkeypatch.setattr("transferlab.domains.overlaps.loaded", lambda _role, component: domains[component.name])
    config = rows_of("source=mnist5k", "target=digits")[0].config
    assert overlaps(config.source, config.target) == [
        "2 of 4 different test images of target=digits are in the training part of target=digits too: "
        "accuracy on them is no news",
        "33 of the 37 different images of target=digits are source=mnist5k's too: is there anything to transfer?",
        "1 of 4 different test images of target=digits is in the training part of source=mnist5k too: "
        "accuracy on them is no news",
    ]


def test_a_grey_image_in_three_channels_is_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = _domain([0, 1] * 10, classes=2)
    colour = replace(grey, inputs=np.repeat(grey.inputs, 3, axis=3))
    tinted = colour.inputs.copy()
    tinted[:, 1, 1, 2] ^= 255
    for source, same in ((colour, True), (replace(grey, inputs=tinted), False)):
        domains = {"digits": grey, "mnist5k": source}
        monkeypatch.setattr("transferlab.domains.overlaps.loaded", lambda _, one, of=domains: of[one.name])
        config = rows_of("source=mnist5k", "target=digits")[0].config
        words = "20 of the 20 different images of target=digits are source=mnist5k's"
        assert any(words in line for line in overlaps(config.source, config.target)) == same


def test_an_image_under_two_labels_in_one_part_is_told_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels, test, names = np.arange(40) % 3, np.arange(40) >= 30, ("ant", "bee", "cow")
    source, target = pixels.copy(), 255 - pixels
    source[[3, 7]] = source[[1, 2]]  # 0 and 1, 2 and 1
    source[6] = source[0]  # both 0
    target[35] = target[36]
    domains = {"digits": Domain(target, labels, names, test), "mnist5k": Domain(source, labels, names, test)}
    monkeypatch.setattr("transferlab.domains.overlaps.loaded", lambda _role, component: domains[component.name])
    config = rows_of("source=mnist5k", "target=digits")[0].config
    assert overlaps(config.source, config.target) == [
        "target=digits: 1 image of its test part stands under two labels: ant and cow",
        "source=mnist5k: 2 images of its training part stand under two labels: ant and bee, bee and cow",
    ]


def test_train_says_so_and_trains(tmp_path: Path, transferlab: Callable[..., Said]) -> None:
    root = fill(tmp_path / "photos" / "train", count=8)
    fill(tmp_path / "photos" / "test", count=4)
    job = ["source=folder", "target=folder", f"source.path={root}", f"target.path={root.parent}", "image.size=8"]
    small = ["source.size=8", "target.size=8", "steps=2", "batch_size=4", "snapshots=1", "seeds=1", "bottleneck=8"]
    said = transferlab("train", *job, *small, "strategy=source_only", "baselines=[]", f"output_root={tmp_path / 'out'}")
    assert said.code == 0, said.err
    assert "8 of 8 different test images of target=photos are in the training part of target=photos too" in said.err
