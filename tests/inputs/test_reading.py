"""How inputs are read for networks: standardised by training examples alone, and from files as from memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import rows_of
from made_kinds import KINDS, made
from numpy.typing import NDArray

from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.domains.preparation import prepared
from transferlab.domains.splits import TestData, TrainingData, split
from transferlab.inputs.features import FeaturesSpec
from transferlab.inputs.kind import DomainInputs, InputSpec
from transferlab.inputs.lazy import LazyArray, changed
from transferlab.inputs.table import Table, TableSpec
from transferlab.inputs.tokens import Tokens, TokensSpec

CONFIG: TrainConfig = rows_of()[0].config


def task(kind: str, *, to_file: Path | None = None) -> tuple[Domain, Domain, InputSpec]:
    """A source and a target of a kind, made alike, as the runner does."""
    domains = [made(kind=kind, target=target, examples=60) for target in (False, True)]
    if to_file:
        for number, domain in enumerate(domains):
            np.save(to_file / f"{number}.npy", np.asarray(domain.inputs))
            inputs = np.load(to_file / f"{number}.npy", mmap_mode="r")
            domains[number] = replace(domain, inputs=inputs, fingerprint=str(number))
    parts = [DomainInputs(str(number), each.kind, each.inputs.shape) for number, each in enumerate(domains)]
    spec = parts[0].kind.common_spec(parts, CONFIG)
    source, target = (
        replace(domain, inputs=spec.converted(domain.inputs, own), kind=spec.described)
        for domain, own in zip(domains, parts, strict=True)
    )
    return source, target, spec


def parts(source: Domain, target: Domain, spec: InputSpec, whose: Any = "source") -> tuple[TrainingData, TestData]:
    return prepared(*split(source, target, 3, 0), spec, whose)


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_file_as_from_memory(kind: str, tmp_path: Path) -> None:
    in_memory, test = parts(*task(kind))
    in_file, same_test = parts(*task(kind, to_file=tmp_path))
    names = ("source", "source_validation", "target_labelled", "target_unlabelled")
    pairs = [(in_memory.stream(name).inputs, in_file.stream(name).inputs) for name in names]
    for ours, lazy in [*pairs, (test.inputs, same_test.inputs)]:
        assert isinstance(lazy, LazyArray)
        assert (lazy.shape, lazy.dtype) == (ours.shape, ours.dtype)
        np.testing.assert_array_equal(np.asarray(lazy), ours)
        np.testing.assert_array_equal(lazy[2], np.asarray(ours)[2])
        order = np.arange(len(ours))[::-1]
        np.testing.assert_array_equal(np.asarray(lazy[order]), np.asarray(ours)[order])


@pytest.mark.parametrize("kind", ["signal", "features"])
def test_the_training_part_alone_decides_mean_and_deviation(kind: str) -> None:
    source, target, spec = task(kind)
    training, test = parts(source, target, spec)
    axes = (0, 2) if kind == "signal" else (0,)
    values = np.asarray(training.source.inputs)
    np.testing.assert_allclose(values.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(axes), 1, atol=1e-5)
    raw, raw_test = split(source, target, 3, 0)
    own = np.asarray(raw.source.inputs).astype(np.float64)
    expected = (np.asarray(raw_test.inputs) - own.mean(axes, keepdims=True)[0]) / own.std(axes, keepdims=True)[0]
    np.testing.assert_allclose(np.asarray(test.inputs), expected, rtol=1e-4, atol=1e-4)
    wild = np.asarray(target.inputs).copy()
    wild[raw_test.indices] = 1e6
    again, _ = parts(source, replace(target, inputs=wild), spec, "pool")
    usual, _ = parts(source, target, spec, "pool")
    np.testing.assert_array_equal(np.asarray(again.source.inputs), np.asarray(usual.source.inputs))
    assert not np.array_equal(np.asarray(usual.source.inputs), values), "the pool has another mean"


def test_large_offsets_and_constant_columns() -> None:
    random = np.random.default_rng(0)
    vectors = np.column_stack([1e6 + 0.5 * random.normal(size=3000), np.full(3000, 7.0)]).astype(np.float32)
    read = np.asarray(changed(vectors, FeaturesSpec(2).reading([vectors])))
    np.testing.assert_allclose(read[:, 0].mean(), 0, atol=1e-3)
    np.testing.assert_allclose(read[:, 0].std(), 1, atol=1e-3)
    assert (read[:, 1] == 0).all()


def test_rows_are_numbers_then_gaps_then_categories() -> None:
    table = Table(("a", "city", "b"), {"city": ("Rome", "Paris")}, gaps=("b",))
    rows = np.array([[1, 0, 10], [3, 1, np.nan], [5, np.nan, 30]], np.float32)
    spec = TableSpec(table)
    read = np.asarray(changed(rows, spec.reading([rows])))
    root = np.sqrt(8 / 3)
    np.testing.assert_allclose(read, [[-2 / root, -1, 0, 1], [0, 0, 1, 2], [2 / root, 1, 0, 0]], rtol=1e-6)
    assert read.shape[1:] == spec.shape
    assert spec.sizes == [3]


def test_texts_end_at_the_end() -> None:
    spec = TokensSpec(Tokens(("a", "b")), 3)
    texts = np.array([[2, 3, 0], [2, 0, 0], [0, 0, 0], [3, 2, 1]])
    assert np.asarray(changed(texts, spec.reading([]))).tolist() == [[0, 2, 3], [0, 0, 2], [0, 0, 0], [3, 2, 1]]
    long = np.concatenate([np.random.default_rng(0).integers(1, 90, (5, 80)), np.zeros((5, 20), int)], axis=1)
    read = np.asarray(changed(long, TokensSpec(Tokens(tuple(map(str, range(90)))), 100).reading([])))
    assert np.array_equal(read[:, 20:], long[:, :80]), "in their order"


class Counting(np.ndarray[Any, Any]):
    """A file that says which rows are read."""

    read: list[int]

    def __getitem__(self, key: Any) -> Any:
        self.read.extend(np.atleast_1d(key).tolist())
        return np.asarray(self)[key]


def test_selecting_reads_nothing_and_reading_reads_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    file = np.arange(40.0).reshape(20, 2).view(Counting)
    file.read = []
    monkeypatch.setattr("transferlab.inputs.lazy.np.asarray", lambda array: array)
    lazy = LazyArray((file,))
    monkeypatch.undo()
    some = lazy[np.array([7, 3, 11])][1:]
    assert file.read == []
    np.asarray(some)
    assert file.read == [3, 11]


def test_digests_tell_changes_apart() -> None:
    array: NDArray[Any] = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    file = LazyArray((array,), content="file")
    spec = FeaturesSpec(2)
    one, other = spec.reading([array]), spec.reading([array[:3]])
    digests = [changed(file, change).digest() for change in (one, other, one)]  # pyright: ignore[reportAttributeAccessIssue]
    assert digests[0] == digests[2] != digests[1]
    assert file.digest() not in digests


def test_files_with_changes_of_their_own_are_joined() -> None:
    first, second = np.ones((3, 2), np.float32), np.full((2, 2), 5, np.float32)
    spec = FeaturesSpec(2)
    lazy = [LazyArray((each,)).changed(spec.reading([each * [[0], [2]][:1]])) for each in (first, second)]
    both = lazy[0].joined(lazy[1])
    expected = np.concatenate([np.asarray(each) for each in lazy])
    np.testing.assert_array_equal(np.asarray(both[np.array([4, 0, 3])]), expected[[4, 0, 3]])
