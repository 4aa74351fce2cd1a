"""Characters drawn from the fonts inside matplotlib."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.errors import Refusal

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Listed by name, so that fonts added by a later matplotlib don't change the domain. Left out: symbol
# fonts (cmex10, cmsy10, STIXSiz*, STIXNonUni*), DejaVu*Display and LastResortHE, which have no digits or letters,
# and cmmi10, whose digit 1 looks like a small "I".
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)

DRAWN_AT = 128  # font size in pixels; a digit or capital is then about 85 high, three times the usual canvas
MARGIN = 24  # pixels around the drawn character, so that its distance field reaches beyond the pen and the soft edge


def rendered_characters(
    *,
    characters: str,
    examples: int,
    seed: int,
    size: int,
    fill: float,
    rotation: float,
    shear: float,
    stretch: float,
    stroke: float,
    blur: float,
    noise: float,
) -> Domain:
    """Printed characters in 21 faces of the DejaVu, STIX and Computer Modern families, with random variations.

    Images are ``(examples, size, size, 1)``, white on black, 0 to 255; example ``i`` shows character number
    ``i % len(characters)``, whole and inside the frame. Every variation is uniform within its range and drawn from a
    generator of its own, seeded by its name: a smaller domain equals the beginning of a larger one, and switching
    one variation off leaves the others unchanged. No official test split.

    Source: font files inside the matplotlib package, never the system's: DejaVu (Bitstream Vera
    licence), STIX (STIX Font License), Computer Modern by BaKoMa (BaKoMa Fonts Licence). The same
    matplotlib, Pillow, NumPy and SciPy give the same bytes.

    Args:
        characters: the classes, in order; letters and digits of ASCII, each once, at least two.
        examples: number of images, at least one of each character.
        seed: fixes everything that is drawn by chance.
        size: side of the canvas in pixels, at least 8.
        fill: the character's longer side takes between this fraction and all of the canvas.
        rotation: largest angle in degrees, either way.
        shear: largest sideways lean per unit of height, either way.
        stretch: the character is wider or narrower by up to this fraction.
        stroke: the pen is widened on either side by up to this fraction of the canvas, never thinned.
        blur: standard deviation of the Gaussian blur, up to this fraction of the canvas.
        noise: standard deviation of the pixel noise, up to this fraction of full white.

    Raises:
        Refusal: if an option is out of its range, or matplotlib lacks one of the fonts.
    """
    alphabet = string.ascii_letters + string.digits
    if len(characters) < 2 or len(set(characters)) < len(characters) or not set(characters) <= set(alphabet):
        raise Refusal(f"characters={characters!r}: expected two or more different letters and digits")
    _check("examples", examples, len(characters), 1_000_000)
    _check("seed", seed, 0, 2**63 - 1)
    _check("size", size, 8, 512)
    _check("fill", fill, 0.3, 1)
    _check("rotation", rotation, 0, 45)
    for name, amount in {"shear": shear, "stretch": stretch, "noise": noise}.items():
        _check(name, amount, 0, 0.5)
    for name, amount in {"stroke": stroke, "blur": blur}.items():
        _check(name, amount, 0, 0.1)
    from scipy.ndimage import gaussian_filter

    def generator(name: str) -> np.random.Generator:
        return np.random.default_rng([seed, *name.encode()])

    def uniform(name: str, low: float, high: float) -> NDArray[np.float64]:
        return generator(name).uniform(low, high, examples)

    glyphs = draw_glyphs(FONTS, characters)
    labels = np.arange(examples, dtype=np.int64) % len(characters)
    fonts = generator("font").integers(len(FONTS), size=examples)
    angles = np.deg2rad(uniform("rotation", -rotation, rotation))
    leans = uniform("shear", -shear, shear)
    widths = uniform("stretch", 1 - stretch, 1 + stretch)
    pens = uniform("stroke", 0, stroke) * size
    spans = uniform("fill", fill, 1) * size
    # A character may move by as much as it leaves free of the canvas.
    shifts = generator("shift").uniform(-0.5, 0.5, (examples, 2)) * (size - spans)[:, None]
    blurs = uniform("blur", 0, blur) * size
    grains = uniform("noise", 0, noise)
    grain = generator("grain")

    images = np.empty((examples, size, size), dtype=np.uint8)
    for i in range(examples):
        shape = _matrix(angles[i], leans[i], widths[i])
        glyph = glyphs[fonts[i]][labels[i]]
        ink = place(glyph, shape, span=spans[i], pen=pens[i], shift=shifts[i], size=size)
        ink = gaussian_filter(ink, blurs[i]) + grain.normal(0, grains[i], (size, size))
        images[i] = np.rint(ink.clip(0, 1) * 255)
    return Domain(images[..., None], labels, tuple(characters))


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise Refusal(f"{name}={value}: must be within {low} to {high}")


def _matrix(angle: float, lean: float, width: float) -> NDArray[np.float64]:
    """The 2x2 map of ``(row, column)`` that stretches, then shears, then rotates."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.array([[1.0, 0.0], [lean, 1.0]]) @ np.diag([1.0, width])


@dataclass(frozen=True)
class Glyph:
    """One character of one font, drawn once and placed many times.

    Attributes:
        distance: float32 ``(height, width)``, distance to the outline in pixels, positive inside.
        outline: float64 ``(points, 2)``, row and column of the first and last inked pixel of each row.
    """

    distance: NDArray[np.float32]
    outline: NDArray[np.float64]


def draw_glyphs(fonts: Sequence[str], characters: str) -> list[list[Glyph]]:
    """The characters in each font: one list per font, one glyph per character.

    Raises:
        Refusal: if the installed matplotlib lacks one of the fonts.
    """
    import matplotlib as mpl
    from PIL import ImageFont

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    drawn: list[list[Glyph]] = []
    for name in fonts:
        file = folder / f"{name}.ttf"
        if not file.is_file():
            raise Refusal(f"matplotlib {mpl.__version__} has no font {name}; looked in {folder}")
        # The basic layout: the other engine depends on libraries outside Pillow.
        font = ImageFont.truetype(file, DRAWN_AT, layout_engine=ImageFont.Layout.BASIC)
        drawn.append([_draw(text, font) for text in characters])
    return drawn


def _draw(text: str, font: FreeTypeFont) -> Glyph:
    from PIL import Image, ImageDraw
    from scipy.ndimage import distance_transform_edt

    canvas = Image.new("L", (2 * DRAWN_AT, 2 * DRAWN_AT))
    ImageDraw.Draw(canvas).text((DRAWN_AT // 2, DRAWN_AT // 2), text, fill=255, font=font)
    inked = np.pad(np.asarray(canvas.crop(canvas.getbbox())) > 127, MARGIN)
    # Each transform measures to the nearest pixel centre on the other side, half a pixel beyond the outline.
    inside, outside = (np.asarray(distance_transform_edt(region)) for region in (inked, ~inked))
    distance = np.where(inked, inside - 0.5, 0.5 - outside).astype(np.float32)

    rows = np.flatnonzero(inked.any(axis=1))
    first = inked[rows].argmax(axis=1)
    last = inked.shape[1] - 1 - inked[rows, ::-1].argmax(axis=1)
    return Glyph(distance, np.stack([np.tile(rows, 2), np.concatenate([first, last])], axis=1).astype(np.float64))


def place(
    glyph: Glyph,
    shape: NDArray[np.float64],
    *,
    span: float,
    pen: float,
    shift: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Ink in [0, 1], ``(size, size)``: the glyph under the 2x2 map ``shape``, with a longer side of ``span`` pixels.

    The pen, in pixels, widens the outline on every side and counts towards the span; ``shift`` is the offset of the
    character's middle from the middle of the canvas. The distance field gives soft edges at any scale.
    """
    from scipy.ndimage import affine_transform

    corners = glyph.outline @ shape.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = (span - 2 * pen) / ((high - low).max() + 1)
    inverse = np.linalg.inv(scale * shape)
    middle = np.linalg.solve(shape, (low + high) / 2)
    start = middle - inverse @ ((size - 1) / 2 + shift)
    distance = affine_transform(glyph.distance, inverse, start, (size, size), order=1, mode="nearest")
    return (distance * scale + pen + 0.5).clip(0, 1)
