"""Remarks on pixels, shared by the provider of image folders and the description of data sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transferlab.text import agreeing, counted, printable

MAX_DARK_VALUE = 16
"""An image whose brightest pixel is at most this, of 255, looks black: a mask with values 0, 1, 2 …, 4-bit grey
values, or 12-bit grey values among files of 16 bits."""

MIN_DARK_SHARE = 0.1
"""From this share of dark images on, a class is remarked on: one night photo among many needs no remark."""

CLASSES_SHOWN = 3
"""Largest number of classes that a remark names."""


def dark(images: NDArray[np.bool_], labels: NDArray[np.int64], class_names: Sequence[str]) -> tuple[str, ...]:
    """The remark that images are nearly black, if a class has many of them; else nothing.

    Args:
        images: (n,), whether the brightest pixel of each is no more than ``MAX_DARK_VALUE``.
        labels: (n,), negative where an image has none.
        class_names: of the labels.
    """
    why = f"nearly black, no pixel above {MAX_DARK_VALUE} of 255: are these masks, or fewer bits? Then scale the files"
    if images.all():
        return (why,)
    known = labels >= 0
    totals = np.bincount(labels[known], minlength=len(class_names)).tolist()
    dark_counts = np.bincount(labels[images & known], minlength=len(class_names)).tolist()
    classes = [label for label, count in enumerate(dark_counts) if count and count >= MIN_DARK_SHARE * totals[label]]
    if not classes:
        return ()
    named = [
        f"{dark_counts[label]:,} of {counted(totals[label], 'image')} of class {printable(class_names[label])}"
        for label in classes[:CLASSES_SHOWN]
    ]
    unnamed = len(classes) - len(named)
    others = f", and some of {counted(unnamed, 'other class')}," if unnamed else ""
    single = len(classes) == 1 and dark_counts[classes[0]] == 1
    return (f"{', '.join(named)}{others} {agreeing(1 if single else 2, 'is', 'are')} {why}",)
