"""Weights that were trained before: read, loaded as far as they fit, and told of."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from transferlab.errors import Refusal

log = logging.getLogger("transferlab")

FILES = (".safetensors", ".pth", ".pt", ".bin")
"""How the name of a file of weights ends."""

OURS = "backbone."
"""How the names in a run's model.safetensors begin."""


class Normalize(nn.Module):
    """Images in [−1, 1] to what pretrained weights expect; a grey image becomes three equal channels first.

    A grey image is repeated here rather than the first convolution's weights summed over the colours:
    the two are the same only without padding, for each colour has a mean of its own.

    Args:
        mean: of the images that the weights were trained on, by channel, where pixels are in [0, 1].
        std: their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 1 or 3, height, width) to (n, 3, height, width)."""
        return (images * 0.5 + 0.5 - self.mean) / self.std


@dataclass(frozen=True)
class Pretrained:
    """Weights, wherever they are from.

    Attributes:
        given: ``backbone.weights``, for messages.
        tensors: by the names that they were stored under.
    """

    given: str
    tensors: Mapping[str, Tensor]

    @property
    def ours(self) -> bool:
        """Whether a run of ours wrote them."""
        return any(name.startswith(OURS) for name in self.tensors)

    @property
    def normalized(self) -> bool:
        """Whether they expect normalised images: all do, except those of our runs that began with random weights."""
        return not self.ours or f"{OURS}normalize.mean" in self.tensors

    def load_into(self, network: nn.Module) -> None:
        """Copies what fits, and logs what didn't.

        Raises:
            Refusal: if nothing fits.
        """
        given = self.tensors
        if self.ours:
            given = {name.removeprefix(OURS): one for name, one in given.items() if name.startswith(OURS)}
        wanted = network.state_dict()
        misshapen = [name for name, one in wanted.items() if name in given and given[name].shape != one.shape]
        # torchvision's IMAGENET1K_FEATURES of VGG-16 has NaN for the layers that it lacks.
        unfit = [name for name, one in given.items() if name in wanted and not bool(one.isfinite().all())]
        fitting = {name: one for name, one in given.items() if name in wanted and name not in {*misshapen, *unfit}}
        if not any(one.dim() for one in fitting.values()):
            names = f"it has {_few(list(given))}; the network has {_few(list(wanted))}"
            raise Refusal(f"backbone.weights={self.given}: nothing in it fits; {names}")
        network.load_state_dict(fitting, strict=False)
        # Old files lack these counters, which matter to nothing.
        missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
        kinds = {"missing": missing, "of another shape": misshapen, "not finite": unfit}
        gaps = [f"; {kind}: {_few(names)}" for kind, names in kinds.items() if names]
        unused = [name for name in given if name not in wanted]
        spare = f"; not used: {_few(unused)}" if unused else ""
        text = f"weights {self.given}: {len(fitting)} of {len(wanted)} tensors loaded{''.join(gaps)}{spare}"
        log.log(logging.WARNING if gaps else logging.INFO, "%s", text)


def is_file(weights: str) -> bool:
    """Whether ``backbone.weights`` is the path of a file, rather than a name."""
    return weights.endswith(FILES)


def read_file(path: str) -> Pretrained:
    """The tensors of a .safetensors file, or of a state dict that torch saved; a pickle may hold nothing else.

    Raises:
        Refusal: if the file can't be read, or holds no tensors.
    """
    try:
        content: Any = load_file(path) if path.endswith(".safetensors") else torch.load(path, "cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = "there is no such file" if not Path(path).is_file() else str(error).partition("\n")[0]
        raise Refusal(f"backbone.weights={path}: {reason}") from None
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, Mapping) else content
    named = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(name).removeprefix("module."): one for name, one in named if isinstance(one, Tensor)}
    if not tensors:
        raise Refusal(f"backbone.weights={path}: expected a file of named tensors (a state dict)")
    return Pretrained(path, tensors)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
