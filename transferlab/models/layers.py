"""Named layers of any backbone: what they give, and the network cut in two at one of them."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.config.values import unknown
from transferlab.errors import Refusal


class LayerFeatures(nn.Module):
    """Outputs of named layers of a backbone: pooled and side by side (n, Σ width), or one layer's map as it is.

    Maps (n, channels, height, width) are averaged over space, and tokens or steps (n, tokens, width) over
    the tokens. Of a tuple, as an LSTM returns, the first entry is taken; of a layer that the backbone runs
    more than once, the first run. Nothing after the last of the layers is run.

    Args:
        backbone: the network.
        layers: names that ``layer_names`` lists.
        pool: whether to average and concatenate (Head2Toe; Evci et al. 2022), or to give the one layer's map.

    Raises:
        Refusal: if there is no such layer, or several of which none is pooled; when run, if a layer gives
            no output of its own, or not one per image.
    """

    def __init__(self, backbone: nn.Module, layers: Sequence[str], pool: bool) -> None:
        super().__init__()
        if not layers or (len(layers) > 1 and not pool):
            wanted = "at least one layer" if pool else "one layer, where its map is taken as it is"
            raise Refusal(f"strategy.layers=[{','.join(layers)}]: expected {wanted}")
        self._names = [_resolved(backbone, name, "strategy.layers") for name in layers]
        self._pool = pool
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, size, size) to (n, Σ width), or to the map."""
        outputs: dict[str, Tensor] = {}
        with self._listening(outputs):
            self.backbone(images)
        for name in self._names:
            if name not in outputs or len(outputs[name]) != len(images):
                raise Refusal(f"strategy.layers={name}: this layer gives no output of its own for each image")
        if not self._pool:
            return outputs[self._names[0]]
        return torch.cat([outputs[name] for name in self._names], dim=1)

    @contextmanager
    def _listening(self, outputs: dict[str, Tensor]) -> Generator[None]:
        # Only while it runs: a hook that stayed would be shared by copies of the network.
        names = set(self._names)
        handles = [
            self.backbone.get_submodule(name).register_forward_hook(partial(self._keep, name, outputs))
            for name in names
        ]
        try:
            yield
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, name: str, outputs: dict[str, Tensor], _module: nn.Module, _inputs: Any, output: Any) -> None:
        value: Any = output[0] if isinstance(output, tuple | list) else output
        if isinstance(value, Tensor) and name not in outputs:
            # Pooled at once, and not run on: the next layer may write into its input, as ReLU(inplace=True) does.
            outputs[name] = _averaged(value) if self._pool else value
            if len(outputs) == len(set(self._names)):
                raise _Enough


class _Enough(Exception):
    """Ends the forward pass: the last of the layers has run."""


def layer_names(backbone: nn.Module) -> list[str]:
    """The layers of a backbone: its own blocks, and what is in them, by the names of the library it is from."""
    theirs = {ours: name for name, ours in _aliases(backbone).items()}
    return [name if "." not in name else theirs.get(name, name) for name, _ in backbone.named_modules() if name]


def split_at(backbone: nn.Module, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The backbone up to and including ``layer``, and the rest: ``rest(first(x))`` equals ``backbone(x)``.

    Both hold the backbone's own modules under the names that they have in it; neither is a copy.

    Args:
        backbone: the network.
        layer: reached through modules that run one after the other.

    Raises:
        Refusal: if there is no such layer, or the way to it isn't a plain chain.
    """
    path = _resolved(backbone, layer, "strategy.layer")
    choices = _cuts(backbone)
    if path not in choices:
        theirs = {ours: name for name, ours in _aliases(backbone).items()}
        names = ", ".join(name if "." not in name else theirs.get(name, name) for name in choices)
        raise Refusal(f"strategy.layer={layer}: the network can't be cut there. Choices: {names or 'none'}")
    first, rest = _split(backbone, path.split("."))
    start: Any = next(module for module in rest.modules() if not list(module.children()))
    if hasattr(start, "inplace"):
        start.inplace = False  # else it would overwrite its input features, which may be kept
    return first, rest


def _split(chain: nn.Module, path: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    names = _chained(chain)
    index = names.index(path[0])
    before: list[tuple[str, nn.Module]] = [(name, chain.get_submodule(name)) for name in names[: index + 1]]
    after: list[tuple[str, nn.Module]] = [(name, chain.get_submodule(name)) for name in names[index + 1 :]]
    if path[1:]:
        first, rest = _split(before[-1][1], path[1:])
        before[-1] = (path[0], first)
        after = [(path[0], rest), *after] if len(rest) else after
    return nn.Sequential(OrderedDict(before)), nn.Sequential(OrderedDict(after))


def _cuts(module: nn.Module, prefix: str = "") -> list[str]:
    """The names after which ``module`` can be cut."""
    cuts: list[str] = []
    for name in _chained(module):
        cuts += [f"{prefix}{name}", *_cuts(module.get_submodule(name), f"{prefix}{name}.")]
    return cuts


def _chained(module: nn.Module) -> list[str]:
    """The names of the children that ``module`` runs one after the other, if that is all it does."""
    if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
        return []
    return [name for name, _ in module.named_modules(remove_duplicate=False) if name and "." not in name]


def _averaged(output: Tensor) -> Tensor:
    if output.dim() == 3:
        return output.mean(1)
    if output.dim() == 4:
        # Images are square, so a map of two equal sides before another number has its channels last, as in Swin;
        # of three equal numbers nobody can tell, and the channels are taken to be first, as they mostly are.
        last = output.shape[1] == output.shape[2] != output.shape[3]
        return output.mean((1, 2) if last else (2, 3))
    return output.flatten(1)


def _resolved(backbone: nn.Module, name: str, key: str) -> str:
    """The name that the layer has in ``backbone``, where a library's own name may have been given."""
    names = [layer for layer, _ in backbone.named_modules() if layer]
    other = _aliases(backbone)
    if name in names or name in other:
        return name if name in names else other[name]
    similar = difflib.get_close_matches(name, [*names, *other], n=2, cutoff=0.6)
    blocks = [layer for layer in names if "." not in layer]
    raise Refusal(f"{unknown(f'{key}={name}', name, {*similar, *blocks})}, and the layers in them")


def _aliases(backbone: nn.Module) -> Mapping[str, str]:
    return getattr(backbone, "aliases", {})
