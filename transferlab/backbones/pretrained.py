"""Pretrained weights: found in a file, loaded as far as they fit, and reported."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transferlab.errors import Refusal
from transferlab.text import printable
from transferlab.weights.fitting import Ambiguous, Match, Named, best_match, containers, is_tensor, modules, sized
from transferlab.weights.weights_file import Content

log = logging.getLogger("transferlab")

BACKBONE = "backbone."
"""Prefix of the backbone's tensors in a run's model.safetensors."""

BOTTLENECK = "bottleneck."
"""Prefix of the bottleneck's tensors there."""

OURS = re.compile(r"backbone\.(?:normalize|network|pool|stem|block\d+)\.")
"""Matches all of the backbone's names: the prefix, then a block of ``TorchvisionBackbone`` or ``TimmBackbone``."""

HEADS = re.compile(
    r"(?:aux\w*|classifier\w*|fc\w*|\w*heads?|head_dist|last_linear|pre_logits|pred(?:ictor|iction_\w+)"
    r"|proj(?:ector|ection\w*)?|prototypes|queue\w*)(?:\.|$)",
    re.IGNORECASE,
)
"""Names of the layers behind a network's features, which a file may have and the network lack."""


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
        tensors: those that may be the network's, by the network's names for them.
        ours: whether a run of ours wrote them.
        of: where in the file they were, in words for messages; empty if the file held nothing else.
        modules: the classes of whole networks in the file, which aren't read.
    """

    given: str
    tensors: Named
    ours: bool = False
    of: str = ""
    modules: tuple[str, ...] = ()

    @property
    def normalized(self) -> bool:
        """Whether they expect normalised images: all do, except those of our runs that began with random weights."""
        return not self.ours or "normalize.mean" in self.tensors

    def load_into(self, network: nn.Module) -> None:
        """Copies what fits, and logs what didn't: as a warning, unless it is only what stood behind the network.

        Raises:
            Refusal: if less than half of the network's tensors are there.
        """
        wanted = network.state_dict()
        fitting, kinds = self._fitting(wanted)
        gaps = [f"; {kind}: {_few(names)}" for kind, names in kinds.items() if names]
        if 2 * sized(fitting) < sized(wanted) or not sized(fitting):
            raise Refusal(self._misfit(fitting, wanted, gaps))
        network.load_state_dict(fitting, strict=False)
        unused = [name for name in self.tensors if name not in wanted]
        foreign = [name for name in unused if not _stands_behind(name, network)]
        spare = [f"; not used: {_few(unused)}"] if unused and not foreign else []
        if foreign:
            gaps.append(f"; {len(foreign)} of the file not used: {_few(foreign)}; is it a larger or another network's?")
        text = f"weights {printable(self.given)}: {len(fitting)} of {len(wanted)} tensors loaded{self.of}"
        log.log(logging.WARNING if gaps else logging.INFO, "%s", text + "".join(gaps + spare))

    def _fitting(self, wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
        """The tensors that fit, and the names of the others by reason."""
        kinds: dict[str, list[str]] = {"missing": [], "of another shape": [], "of another type": [], "not finite": []}
        fitting: dict[str, Tensor] = {}
        for name, own in wanted.items():
            given = self.tensors.get(name)
            counts = name.endswith("num_batches_tracked")  # old files lack these counters, which change no result
            if given is None:
                kinds["missing"] += [] if counts else [name]
            elif not isinstance(given, Tensor) or _kind(given) != _kind(own):
                kinds["of another type"] += [] if counts else [name]
            elif given.shape != own.shape:
                kinds["of another shape"].append(name)
            # torchvision's IMAGENET1K_FEATURES of VGG-16 has NaN for the layers that it lacks.
            elif not bool((converted := given.to(own.dtype)).isfinite().all()):
                kinds["not finite"].append(name)
            else:
                fitting[name] = converted
        return fitting, kinds

    def _misfit(self, fitting: Mapping[str, Tensor], wanted: Mapping[str, Tensor], gaps: Sequence[str]) -> str:
        begin = f"backbone.weights={printable(self.given)}"
        count = sized(fitting)
        if self.modules and not count:
            # A whole network is a pickle of somebody's classes, and making one of them would run their code.
            instead = "in the program that wrote it, torch.save(model.state_dict(), 'weights.pth')"
            return f"{begin}: holds a whole network ({printable(self.modules[0])}), not named tensors; {instead}"
        if not self.tensors:
            return f"{begin}: expected a file of named tensors (a state dict), and it has none"
        if all(is_tensor(tensor) for tensor in self.tensors.values()):
            return f"{begin}: its tensors are sparse, quantised or without data, which isn't read: {_few(self.tensors)}"
        if self.tensors.keys().isdisjoint(wanted):
            return f"{begin}: nothing in it fits; it has {_few(self.tensors)}; the network has {_few(wanted)}"
        fit = f"only {count} of the network's {sized(wanted)} tensors fit" if count else "nothing in it fits"
        return f"{begin}: {fit}{''.join(gaps)}"


def ours(given: str, content: Content) -> Pretrained | None:
    """The backbone of a run of ours, if the content is of its model.safetensors.

    Foreign tensors of a backbone are called otherwise, or have no bottleneck beside them.
    """
    if not content.safe:  # safetensors are named tensors and nothing else
        return None
    names = [name for name in content.values if name.startswith(BACKBONE)]
    has_bottleneck = any(name.startswith(BOTTLENECK) for name in content.values)
    if not names or not has_bottleneck or not all(OURS.match(name) for name in names):
        return None
    return Pretrained(given, {name.removeprefix(BACKBONE): content.values[name] for name in names}, ours=True)


def chosen(given: str, content: Content, network: nn.Module, renamed: Callable[[str], str] = str) -> Pretrained:
    """The weights that a foreign file has for a network.

    Args:
        given: ``backbone.weights``, for messages.
        content: of the file.
        network: under its library's names.
        renamed: maps a name in the file to the library's current name.

    Raises:
        Refusal: if several networks in the file fit alike.
    """
    try:
        match = best_match(content.values, network.state_dict(), renamed)
    except Ambiguous as problem:
        text = f"backbone.weights={given}: {problem} fit alike; save the tensors of one of them alone"
        raise Refusal(printable(text)) from None
    if match:
        return Pretrained(given, match.tensors, of=_of(match))
    every = {name: tensor for named in containers(content.values).values() for name, tensor in named.items()}
    return Pretrained(given, every, modules=tuple(modules(content.values)))


def _of(match: Match) -> str:
    text = f" from {printable(match.title)}" if match.title else ""
    rivals = f", which {_few(match.rivals)} would fit as well" if match.rivals else ""
    return text + rivals


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _stands_behind(name: str, network: nn.Module) -> bool:
    """Whether a tensor that the network lacks was of its last layer, or of another part behind it."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        try:
            if isinstance(network.get_submodule(".".join(parts[:count])), nn.Identity):
                return True
        except AttributeError:
            break
    return not hasattr(network, parts[0]) and bool(HEADS.match(name))


def _few(names: Iterable[str]) -> str:
    shown = [printable(name) for name in names]
    return f"{', '.join(shown[:4])} and {len(shown) - 4} more" if len(shown) > 4 else ", ".join(shown)
