"""Images: pixels of one height, width and number of channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from transferlab.config.schema import TrainConfig
from transferlab.errors import Refusal
from transferlab.images.remarks import MAX_DARK_VALUE, dark
from transferlab.images.resizing import resized, with_channels
from transferlab.inputs.checks import refuse_masked
from transferlab.inputs.kind import DomainInputs, InputSpec, Kind
from transferlab.inputs.lazy import Change, Inputs, LazyArray, in_file


@dataclass(frozen=True)
class Image(Kind):
    """uint8, (n, height, width, channels), channels 1 or 3."""

    name: ClassVar[str] = "image"
    one: ClassVar[str] = "image"
    many: ClassVar[str] = "images"

    def checked(self, inputs: Any) -> tuple[Self, Inputs]:
        """Unchanged, if they are as the kind says."""
        wanted = "images must be a NumPy array, uint8 (examples, height, width, 1 or 3)"
        if not isinstance(inputs, np.ndarray | LazyArray):
            how = ": np.stack(inputs)" if isinstance(inputs, list | tuple) else ""
            how = ": inputs.numpy(), with the channels last" if type(inputs).__module__.startswith("torch") else how
            raise Refusal(f"{wanted}, not {type(inputs).__name__}{how}")
        refuse_masked("inputs", inputs)
        if len(inputs.shape) == 0 or len(inputs) == 0:
            raise Refusal("the domain has no examples")
        if inputs.dtype != np.uint8:
            raise Refusal(f"{wanted}, not {inputs.dtype} {inputs.shape}: {_advice_on_dtype(inputs)}")
        if inputs.ndim != 4 or inputs.shape[3] not in (1, 3):
            how = _advice_on_shape(inputs.shape)
            raise Refusal(f"{wanted}, not {inputs.dtype} {inputs.shape}{f': {how}' if how else ''}")
        if 0 in inputs.shape:
            raise Refusal(f"{wanted}, not {inputs.shape}: they have no pixels")
        return self, inputs

    @classmethod
    def common_spec(cls, domains: Sequence[DomainInputs], config: TrainConfig) -> ImageSpec:
        """Images of ``image.size``; with ``image.channels=auto`` colour if any domain that decides has it."""
        channels = config.image.channels
        if channels == "auto":
            channels = max(domain.shape[3] for domain in domains if domain.decides)
        return ImageSpec(channels, config.image.size)

    def comparable(self, examples: NDArray[Any]) -> Iterable[NDArray[Any]]:
        """The images, of one channel only if its three are equal."""
        for image in examples:
            grey = _is_grey(image[0]) and _is_grey(image)  # the first row rules out most coloured images quickly
            yield image[..., :1] if grey else image

    def remarks(self, inputs: Inputs, labels: NDArray[np.int64], class_names: Sequence[str]) -> list[str]:
        """Says which images are dark; a provider says it of images in a file."""
        if in_file(inputs):
            return []
        return [*dark(np.asarray(inputs).max(axis=(1, 2, 3)) <= MAX_DARK_VALUE, labels, class_names)]


IMAGE = Image()


@dataclass(frozen=True)
class ImageSpec(InputSpec):
    """Images of a run, (n, channels, size, size).

    Attributes:
        channels: 1 (grey) or 3 (colour).
        size: height and width, in pixels.
    """

    kind: ClassVar[type[Kind]] = Image

    channels: int
    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, size, size)."""
        return (self.channels, self.size, self.size)

    @property
    def described(self) -> Kind:
        """Images."""
        return IMAGE

    @property
    def identity(self) -> dict[str, Any]:
        """Size and channels."""
        return {"image": asdict(self)}

    def converted(self, inputs: Inputs, domain: DomainInputs) -> Inputs:
        """Resized and recoloured images, (n, size, size, channels); those in a file must have both already."""
        if not in_file(inputs):
            return with_channels(resized(np.asarray(inputs), self.size), self.channels)
        if inputs.shape[1:] != (self.size, self.size, self.channels):
            height, width, own = inputs.shape[1:]
            raise Refusal(
                f"{domain.name}: its images stay in their file, {height}×{width} with channels={own}, but the run's "
                f"are {self.size}×{self.size} with channels={self.channels}; give it that size and channels, or set "
                "image.size, image.channels"
            )
        return inputs

    def reading(self, training: Sequence[Inputs]) -> Change:
        """(n, channels, size, size), a view of the same pixels: uint8, channels last in memory; nothing is fitted."""
        return Change(_channels_first, self.shape, np.uint8, "channels first")


def _channels_first(images: NDArray[Any]) -> NDArray[Any]:
    return images.transpose(0, 3, 1, 2)


def _is_grey(pixels: NDArray[Any]) -> bool:
    return all(np.array_equal(pixels[..., 0], pixels[..., channel]) for channel in range(1, pixels.shape[-1]))


def _advice_on_dtype(images: Any) -> str:
    """How to convert images of another type to uint8."""
    if not (np.issubdtype(images.dtype, np.number) or images.dtype == np.bool_):
        return "images of different shapes? Make them one size, and then np.stack(inputs)"
    if images.dtype == np.bool_:
        return "np.uint8(255) * inputs"
    low, high = float(np.min(images)), float(np.max(images))
    if not (np.isfinite(low) and np.isfinite(high)):
        return "some pixels are NaN or infinite"
    if low < 0:
        return f"pixels run from {low:g} to {high:g}; bring them to 0 … 255, and then .astype(np.uint8)"
    if high > 255:
        return f"pixels reach {high:g}; np.rint(inputs * (255 / white)).astype(np.uint8), white being their limit"
    times = " * 255" if np.issubdtype(images.dtype, np.floating) and high <= 1 else ""
    return f"np.rint(inputs{times}).astype(np.uint8)"


def _advice_on_shape(shape: tuple[int, ...]) -> str:
    """How to bring images to (examples, height, width, 1 or 3); empty if unknown."""
    if len(shape) == 3:
        return "inputs[..., None]"
    if len(shape) == 4 and shape[1] in (1, 3):
        return "inputs.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[3] == 4:
        return "inputs[..., :3]"
    if len(shape) == 4 and shape[3] == 2:
        return "inputs[..., :1]"
    if len(shape) == 2:
        return "inputs.reshape(len(inputs), height, width, 1)"
    return ""
