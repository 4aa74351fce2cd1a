"""Remarks on pixels that a provider and a reader of its arrays make alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.text import agreeing, counted, printable

DARK = 16
"""An image whose brightest pixel is no more than this, of 255, is black to the eye: a mask with values 0, 1, 2 …,
levels of 4 bits, or grey values of 12 bits where another file's have 16."""

SHARE = 0.1
"""Of a class's images, from which dark ones are said: one photo of the night among many is worth no word."""

CLASSES_SHOWN = 3


def dark(images: NDArray[np.bool_], labels: NDArray[np.int64], class_names: Sequence[str]) -> tuple[str, ...]:
    """The remark that images are black, where a class has many of them.

    Args:
        images: (n,), whether the brightest pixel of each is no more than ``DARK``.
        labels: (n,).
        class_names: of the labels.
    """
    why = f"nearly black, no pixel above {DARK} of 255: are these masks, or fewer bits? Then scale the files"
    if images.all():
        return (why,)
    every = np.bincount(labels, minlength=len(class_names)).tolist()
    few = np.bincount(labels[images], minlength=len(class_names)).tolist()
    many = [place for place, count in enumerate(few) if count and count >= SHARE * every[place]]
    if not many:
        return ()
    named = [
        f"{few[place]:,} of {counted(every[place], 'image')} of class {printable(class_names[place])}"
        for place in many[:CLASSES_SHOWN]
    ]
    more = len(many) - len(named)
    others = f", and some of {counted(more, 'other class')}," if more else ""
    single = len(many) == 1 and few[many[0]] == 1
    return (f"{', '.join(named)}{others} {agreeing(1 if single else 2, 'is', 'are')} {why}",)
