"""Several domains as one source: order, classes, splits, identity, and a real run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Said, results, rows_of

from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.multi import concatenated, refuse_other_classes
from transferlab.domains.splits import Labelled, split
from transferlab.domains.task import TransferTask, load_task
from transferlab.errors import Refusal

SMALL = ["image.size=8", "bottleneck=16", "steps=6", "snapshots=2", "batch_size=16", "seeds=1"]
BOTH = ["source=multi", "source.domains=[rendered_digits,mnist5k]", "source.rendered_digits.examples=300"]


def task(*arguments: str) -> TransferTask:
    return load_task(rows_of("image.size=8", *arguments)[0].config)


def domain(labels: list[int], names: tuple[str, ...], first: int = 0, test: list[bool] | None = None) -> Domain:
    numbers = np.arange(first, first + len(labels), dtype=np.uint8)
    images = numbers[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Domain(images, np.array(labels), names, None if test is None else np.array(test))


def test_one_after_the_other_with_the_firsts_order_of_classes() -> None:
    one, other = domain([0, 1], ("cat", "dog")), domain([0, 1, 1], ("dog", "cat"), first=2)
    both = concatenated([one, other])
    assert both.inputs[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert [both.class_names[label] for label in both.labels] == ["cat", "dog", "dog", "cat", "cat"]
    assert both.domain_sizes == (2, 3)
    assert concatenated([one]) is one


def test_each_keeps_the_test_split_that_it_has_alone() -> None:
    one = domain([0, 1] * 20, ("a", "b"))
    other = domain([0, 1] * 2, ("a", "b"), first=40, test=[True, False, False, True])
    assert np.array_equal(test_mask(concatenated([one, other])), [*test_mask(one), True, False, False, True])


def test_parts_that_don_t_add_up_are_no_domain() -> None:
    with pytest.raises(Refusal, match="domains of"):
        Domain(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int64), ("a",), None, (1, 1))


def test_other_classes_are_named_with_the_domain_that_lacks_them() -> None:
    one, other = domain([0], ("cat", "dog")), domain([0], ("dog", "ant", "bee"))
    refuse_other_classes(["one"], [one])
    refuse_other_classes(["one", "same"], [one, domain([0], ("dog", "cat"))])
    with pytest.raises(Refusal) as refusal:
        refuse_other_classes(["one", "other", "third"], [one, other, other])
    assert str(refusal.value) == (
        "source=multi needs one set of classes, but one lacks ant, bee and other lacks cat and third lacks cat"
    )


def test_sizes_and_channels_become_one() -> None:
    both = task("source=multi", "source.domains=[rendered_digits,mnist5k_m]", "source.rendered_digits.examples=300")
    assert both.source.inputs.shape == (5300, 8, 8, 3)
    assert both.target.inputs.shape == (1797, 8, 8, 3)
    assert both.source.domain_sizes == (300, 5000)
    alone = task("source=rendered_digits", "source.examples=300", "image.channels=3")
    assert np.array_equal(both.source.inputs[:300], alone.source.inputs)


def same(one: Labelled, other: Labelled) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_are_those_of_each_domain_alone(seed: int) -> None:
    """So that adding a source leaves what is seen of the first one as it was."""
    both, one, other = (
        split(each.source, each.target, 3, seed)[0]
        for each in (task(*BOTH), task("source=rendered_digits", "source.examples=300"), task("source=mnist5k"))
    )
    for name in ("source", "source_validation"):
        joined, first, second = (getattr(each, name) for each in (both, one, other))
        assert joined.domain_sizes == (len(first.labels), len(second.labels))
        assert first.domain_sizes == (len(first.labels),)
        start = joined.domain_sizes[0]
        assert same(Labelled(joined.inputs[:start], joined.labels[:start]), first)
        assert same(Labelled(joined.inputs[start:], joined.labels[start:]), second)
    for name, alone in (("source1", one), ("source2", other)):
        part = both.stream(name)
        assert isinstance(part, Labelled)
        assert same(part, alone.source)
        assert np.array_equal(both.stream(f"{name}_unlabelled").inputs, alone.source.inputs)
    assert same(both.target_labelled, one.target_labelled)


def test_the_fingerprint_is_of_every_domain_and_their_order() -> None:
    def fingerprint(*arguments: str) -> str:
        return task(*arguments).fingerprints[0]

    both = fingerprint(*BOTH)
    assert both == fingerprint(*BOTH, "image.size=9")
    others = [
        fingerprint(*BOTH, "source.rendered_digits.examples=310"),
        fingerprint(*BOTH, "source.mnist5k.crop=28"),
        fingerprint(*BOTH, "source.domains=[mnist5k,rendered_digits]"),
        fingerprint("source=mnist5k"),
    ]
    assert len({both, *others}) == 5
    assert fingerprint("source=multi", "source.domains=[mnist5k]") == fingerprint("source=mnist5k")


def test_a_real_run_says_where_it_comes_from(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    said = transferlab("train", *SMALL, *BOTH, f"output_root={tmp_path}", "strategy=dan")
    assert said.code == 0, said.err
    assert said.out.startswith("rendered_digits+mnist5k → digits")
    assert "source.domains" not in said.out
    (result,) = [one for one in results(tmp_path) if one["strategy"] == "dan"]
    assert result["source"] == "rendered_digits+mnist5k"
    assert "source.rendered_digits.examples=300" in result["setting"]
    source: dict[str, Any] = result["config"]["source"]
    assert source["domains"] == ["rendered_digits", "mnist5k"]
    assert source["rendered_digits"]["examples"] == 300
    assert list(tmp_path.glob("runs/rendered_digits+mnist5k-to-digits/lenet/dan/*/seed0/result.json"))
    again = transferlab("train", *SMALL, *BOTH, f"output_root={tmp_path}", "strategy=dan")
    assert "nothing to train" in again.err
