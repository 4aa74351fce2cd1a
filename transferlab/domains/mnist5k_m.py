"""MNIST digits blended into photographs: the MNIST-M construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.domain import Domain
from transferlab.domains.mnist5k import SIDE, central_crop, check_crop, mnist5k
from transferlab.domains.scikit_learn_files import scikit_learn_file
from transferlab.errors import Refusal


def mnist5k_m(*, crop: int, seed: int) -> Domain:
    """The digits of ``mnist5k``, each subtracted from a patch of a photograph.

    Images are ``(5000, crop, crop, 3)``: ``|patch - digit|`` per channel, 0 to 255, in the order of
    ``mnist5k``. So the background is the patch, and the strokes are its negative. Patches are drawn at
    28x28 and then cropped, so ``crop`` changes the frame and nothing else. No official test split.

    Paper: Ganin et al., "Domain-adversarial training of neural networks", JMLR 2016, section 5.2.4,
    which takes the patches from BSDS500. Here patches come from the two sample photographs of
    scikit-learn (china.jpg by danielbuechele, flower.jpg by vultilion; CC BY 2.0), so the backgrounds
    vary less, and published MNIST-M accuracies are not comparable.

    Args:
        crop: side of the central square that is kept, as in ``mnist5k``.
        seed: decides from which photograph, and where in it, each patch is cut.

    Raises:
        Refusal: if ``crop`` is not within 1 to 28, or ``seed`` is negative.
    """
    check_crop(crop)
    if seed < 0:
        raise Refusal(f"seed={seed}: must be 0 or more")
    photographs = _photographs().astype(np.int16)
    plain = mnist5k(crop=SIDE)
    count, height, width = len(plain.labels), *photographs.shape[1:3]

    generator = np.random.default_rng(seed)
    which = generator.integers(len(photographs), size=count)
    top = generator.integers(height - SIDE + 1, size=count)
    left = generator.integers(width - SIDE + 1, size=count)

    offsets = np.arange(SIDE)
    rows, columns = top[:, None, None] + offsets[:, None], left[:, None, None] + offsets
    patches = photographs[which[:, None, None], rows, columns]
    images = np.abs(patches - plain.inputs).astype(np.uint8)
    return Domain(central_crop(images, crop), plain.labels, plain.class_names)


def _photographs() -> NDArray[np.uint8]:
    """uint8, (2, height, width, 3), as ``load_sample_images`` returns them."""
    from PIL import Image

    files = [scikit_learn_file(f"images/{name}.jpg") for name in ("china", "flower")]
    images = [np.asarray(Image.open(file)) for file in files if file]
    if len(images) == len(files):
        return np.stack(images)
    from sklearn.datasets import load_sample_images

    return np.stack(load_sample_images().images)
