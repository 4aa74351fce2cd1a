"""What each kind of input refuses, and how it makes two domains alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jobs import rows_of
from numpy.typing import NDArray

from transferlab.config.schema import TrainConfig
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal
from transferlab.inputs.features import Features
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import Inputs
from transferlab.inputs.signal import Signal
from transferlab.inputs.table import Table
from transferlab.inputs.tokens import Tokens

SIGNALS, ROWS, VECTORS = np.zeros((4, 2, 8)), np.zeros((4, 2)), np.zeros((4, 5))
TEXTS = np.array([[2, 3, 0], [2, 0, 0], [1, 1, 1], [3, 2, 2]])
COLUMNS, WORDS = Table(("age", "city"), {"city": ("Rome", "Paris")}), Tokens(("a", "b"))


def with_value(array: NDArray[Any], value: float) -> NDArray[np.float64]:
    changed = array.astype(np.float64)
    changed[1, 0] = value
    return changed


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        (SIGNALS.tolist(), Signal(), r"not list: np\.array\(inputs\)"),
        (torch.zeros(4, 5), Features(), r"not Tensor: inputs\.numpy\(\)"),
        (np.zeros((0, 5)), Features(), "no examples"),
        (np.zeros((4, 0)), Features(), r"not float64 \(4, 0\)"),
        (SIGNALS[0], Signal(), r"\(examples, channels, length\), not float64 \(2, 8\)"),
        (np.full((4, 5), "x"), Features(), "not <U1"),
        (np.full((4, 5), None), Features(), "not object"),
        (np.ma.masked_less(VECTORS, 1), Features(), r"masked.*inputs\.filled\(0\)"),
        (with_value(VECTORS, np.nan), Features(), r"example 1 has NaN at \[0\]"),
        (with_value(SIGNALS, np.nan), Signal(), r"example 1 has NaN at \[0, 0\]"),
        (with_value(ROWS, -np.inf), COLUMNS, "example 1 has -inf"),
        (with_value(VECTORS, 1e39), Features(), "1e[+]39, which is more than float32 holds"),
        (np.zeros((4, 3)), COLUMNS, "3 columns, but 2 names"),
        (ROWS, Table(("age", "age")), "two columns are called age"),
        (ROWS, Table(("age", "city"), {"cities": ("Rome",)}), "Did you mean city"),
        (ROWS + 2, COLUMNS, "row 0 has 2 in city, and its 2 categories are numbered from 0 to 1"),
        (ROWS + 0.5, COLUMNS, "row 0 has 0.5 in city"),
        (TEXTS * 1.0, WORDS, "whole numbers"),
        (TEXTS - 1, WORDS, "example 0 has -1, and they run from 0 to 3"),
        (TEXTS + 1, WORDS, "example 0 has 4, and they run from 0 to 3"),
        (TEXTS[:, ::-1].copy(), WORDS, "text 0 has a 0 before a token"),
        (TEXTS, Tokens(("a", "b", "a")), "has a twice"),
        (SIGNALS, Signal(rate=0), "rate is 0 samples per second"),
        (SIGNALS, Signal(rate=float("nan")), "rate is nan"),
    ],
)
def test_what_is_not_of_the_kind_is_refused(inputs: Any, kind: Kind, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Domain(inputs, np.arange(4) % 2, ("x", "y"), kind=kind)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
def test_other_numbers_are_converted_from_a_file_when_they_are_read(dtype: Any, tmp_path: Path) -> None:
    given = (np.arange(20).reshape(4, 5)).astype(dtype)
    np.save(tmp_path / "vectors.npy", given)
    stays = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    labels = np.arange(4) % 2
    in_memory, in_file = (Domain(each, labels, ("x", "y"), kind=Features()).inputs for each in (given, stays))
    assert in_memory.dtype == in_file.dtype == np.float32
    assert not isinstance(in_file, np.ndarray)
    assert np.array_equal(np.asarray(in_file), in_memory)
    assert np.array_equal(np.asarray(in_file[np.array([3, 1])]), given[[3, 1]])


def alike(*domains: tuple[Inputs, Kind], settings: tuple[str, ...] = (), last_is_bridge: bool = False) -> InputSpec:
    config: TrainConfig = rows_of(*settings)[0].config
    parts = inputs_of(*domains)
    if last_is_bridge:
        parts[-1] = DomainInputs("bridge=c", parts[-1].kind, parts[-1].shape, decides=False)
    return parts[0].kind.common_spec(parts, config)


def inputs_of(*domains: tuple[Inputs, Kind]) -> list[DomainInputs]:
    checked = [(kind.checked(inputs)) for inputs, kind in domains]
    names = ("source=a", "target=b", "bridge=c")
    return [DomainInputs(name, kind, inputs.shape) for name, (kind, inputs) in zip(names, checked, strict=False)]


def converted(inputs: NDArray[Any], kind: Kind, spec: InputSpec) -> NDArray[Any]:
    found, values = kind.checked(inputs)
    return np.asarray(spec.converted(values, DomainInputs("target=b", found, values.shape)))


def test_signals_of_another_rate_are_resampled() -> None:
    def sines(rate: int) -> NDArray[np.float64]:
        time = np.arange(2 * rate) / rate
        return np.stack([np.sin(2 * np.pi * 5 * time), 3 + np.cos(2 * np.pi * 2 * time)])[None]

    spec = alike((sines(100), Signal(100.0)), (sines(50), Signal(50.0)))
    assert spec.shape == (2, 100)
    np.testing.assert_allclose(
        converted(sines(100), Signal(100.0), spec)[:, :, 10:-10], sines(50)[:, :, 10:-10], atol=0.01
    )
    ends = converted(sines(100) * [[0], [0.1]] + [[0], [30]], Signal(100.0), spec)[0, 1]
    assert np.abs(ends - 30).max() < 1, "far from zero, the ends aren't bent towards it"
    assert np.array_equal(converted(sines(50), Signal(50.0), spec), sines(50).astype(np.float32))
    faster = alike((sines(100), Signal(100.0)), (sines(50), Signal(50.0)), settings=("signal.rate=200",))
    assert faster.shape == (2, 400)


def test_signals_of_another_length_are_padded_or_cut_in_the_middle() -> None:
    short, long = np.arange(6.0).reshape(1, 1, 6), np.arange(10.0).reshape(1, 1, 10)
    spec = alike((short, Signal()), (long, Signal()))
    assert converted(short, Signal(), spec)[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]
    spec = alike((short, Signal()), (long, Signal()), settings=("signal.length=4",))
    assert converted(long, Signal(), spec)[0, 0].tolist() == [3, 4, 5, 6]
    assert alike((short, Signal()), (short, Signal()), (long, Signal()), last_is_bridge=True).shape == (1, 6)


def test_columns_are_found_by_name_and_categories_too() -> None:
    source = Table(("age", "city"), {"city": ("Rome", "Paris")})
    target = Table(("city", "age"), {"city": ("Oslo", "Paris", "Rome")})
    rows = np.array([[0, 30.0], [1, 40], [2, np.nan], [np.nan, 50]])
    spec = alike((ROWS, source), (rows, target))
    assert isinstance(spec.described, Table)
    assert spec.described.categories == {"city": ("Rome", "Paris", "Oslo")}
    np.testing.assert_array_equal(converted(rows, target, spec), [[30, 2], [40, 1], [np.nan, 0], [50, np.nan]])
    without = alike((ROWS, source), (ROWS, source), (rows, target), last_is_bridge=True)
    np.testing.assert_array_equal(converted(rows, target, without)[:, 1], [np.nan, 1, 0, np.nan])


@given(st.permutations(range(4)), st.integers(0, 100))
def test_the_order_of_columns_makes_no_difference(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = np.column_stack([random.normal(size=(9, 2)), random.integers(3, size=(9, 2))])
    rows[random.uniform(size=rows.shape) < 0.2] = np.nan
    names, categories = ("a", "b", "c", "d"), {"c": ("x", "y", "z"), "d": ("u", "v", "w")}
    other = Table([names[place] for place in order], categories)
    one, moved = (rows, Table(names, categories)), (rows[:, order], other)
    parts = inputs_of(one, moved)
    spec = parts[0].kind.common_spec(parts, CONFIG)
    np.testing.assert_array_equal(converted(*moved, spec), rows.astype(np.float32))


CONFIG = rows_of()[0].config


def test_vocabularies_are_joined_and_texts_cut_or_filled() -> None:
    other = Tokens(("c", "b"))
    spec = alike((TEXTS, WORDS), (TEXTS, other))
    assert spec.described == Tokens(("a", "b", "c"))
    assert converted(TEXTS, other, spec).tolist() == [[4, 3, 0], [4, 0, 0], [1, 1, 1], [3, 4, 4]]
    short = alike((TEXTS, WORDS), (TEXTS, WORDS), (TEXTS, other), settings=("tokens.length=2",), last_is_bridge=True)
    assert converted(TEXTS, other, short).tolist() == [[1, 3], [1, 0], [1, 1], [3, 1]]
    assert converted(TEXTS[:, :1], WORDS, short).tolist() == [[2, 0], [2, 0], [1, 0], [3, 0]]


@pytest.mark.parametrize(
    ("domains", "settings", "words"),
    [
        ([(SIGNALS, Signal()), (SIGNALS[:, :1], Signal())], (), "signals of 2 channels and target=b of 1"),
        ([(SIGNALS, Signal(50.0)), (SIGNALS, Signal())], (), "target=b has no sampling rate"),
        ([(SIGNALS, Signal()), (SIGNALS, Signal())], ("signal.rate=9",), "source=a and target=b have no sampling rate"),
        ([(SIGNALS, Signal(1.0)), (SIGNALS, Signal(1.0))], ("signal.rate=1e9",), "8,000,000,000 samples"),
        ([(VECTORS, Features()), (VECTORS[:, 1:], Features())], (), "of 5 numbers and target=b of 4"),
        ([(ROWS, COLUMNS), (ROWS, Table(("age", "cities")))], (), "column city, and target=b not.*Did you mean cities"),
        ([(ROWS[:, :1], Table(["age"])), (ROWS, COLUMNS)], (), "target=b has a column city, and source=a not"),
        ([(ROWS, COLUMNS), (ROWS, Table(("age", "city")))], (), "city: categories in source=a, numbers in target=b"),
    ],
)
def test_what_can_not_be_made_alike_is_refused(domains: Any, settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        alike(*domains, settings=settings)
