"""What a provider of examples returns: one domain, whole, before any split or resize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferlab.domains.mapped import Images, Mapped
from transferlab.errors import Refusal
from transferlab.wording import counted


@dataclass(frozen=True)
class Domain:
    """Labelled images of one origin.

    Attributes:
        images: uint8, ``(examples, height, width, channels)``, channels 1 or 3. An ``np.memmap`` or ``Mapped`` is
            never read whole, and so neither resized nor recoloured.
        labels: int64, ``(examples,)``, each an index into ``class_names``.
        class_names: one name per class, each used once.
        test: bool, ``(examples,)``, true for the examples of an official test split;
            None where there is none, and the shared rule of ``splits.py`` draws one.
        parts: where it is several domains one after the other, how many examples each has; else empty.
        fingerprint: of all that stands above, from a provider that knows it without reading every pixel.

    Raises:
        Refusal: if the arrays break what stands above.
    """

    images: Images
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    test: NDArray[np.bool_] | None = None
    parts: tuple[int, ...] = ()
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        images: Any = self.images
        arrays: list[Any] = [self.labels, *([] if self.test is None else [self.test])]
        if not isinstance(images, np.ndarray | Mapped) or not all(isinstance(one, np.ndarray) for one in arrays):
            raise Refusal("images, labels and test must be NumPy arrays")
        if len(self.images) == 0:
            raise Refusal("the domain has no examples")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise Refusal(f"labels must be whole numbers, not {self.labels.dtype}")
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise Refusal(
                f"images must be uint8 (examples, height, width, 1 or 3), not {self.images.dtype} {self.images.shape}"
            )
        if self.labels.shape != (len(self.images),):
            raise Refusal(f"{counted(len(self.images), 'image')} but labels of shape {self.labels.shape}")
        if len(set(self.class_names)) != len(self.class_names):
            raise Refusal(f"class names repeat: {', '.join(self.class_names)}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            low, high = self.labels.min(), self.labels.max()
            raise Refusal(f"labels run from {low} to {high}, but class_names has {len(self.class_names)}")
        if self.test is not None and (self.test.shape != self.labels.shape or self.test.dtype != np.bool_):
            # ~ of an integer mask would put test examples into training.
            raise Refusal(f"the test mask must be bool ({len(self.images)},), not {self.test.dtype} {self.test.shape}")
        if self.parts and sum(self.parts) != len(self.images):
            raise Refusal(f"parts of {self.parts} examples, but all are {len(self.images)}")
