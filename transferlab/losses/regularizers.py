"""Penalties for fine-tuning: they keep a network near its start, or keep features that transfer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from transferlab.losses.output import Output

SOURCE = "source_"
"""Prefix of a module's name: the same module as it was after the source fit."""


def squared_norm(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of all squares, a scalar."""
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum()


def starting_point_penalty(
    shared: Sequence[tuple[Tensor, Tensor]], own: Sequence[Tensor], alpha: float, beta: float
) -> Tensor:
    """α/2 · ‖w − w₀‖² + β/2 · ‖v‖²: decay towards the starting point (L2-SP; Li, Grandvalet & Davoine 2018).

    Args:
        shared: weights w that the source network has too, each with its value w₀ there.
        own: weights v that are the target's own: the head.
        alpha: of the distance to the source.
        beta: of the plain decay towards 0.

    Returns:
        A scalar, at least 0.
    """
    return alpha / 2 * squared_norm(w - w0 for w, w0 in shared) + beta / 2 * squared_norm(own)


def elastic_penalty(weights: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """½ · Σ F_i (w_i − w₀_i)²: what the source was sure of moves least (EWC; Kirkpatrick et al. 2017).

    The negative logarithm, less a constant, of a Gaussian around w₀ with precision F: the Laplace approximation of
    the posterior over the weights after the source.

    Args:
        weights: w, w₀ and the diagonal Fisher information F, of one shape.

    Returns:
        A scalar, at least 0.
    """
    return torch.stack([(fisher * (w - w0).square()).sum() for w, w0, fisher in weights]).sum() / 2


def spectral_shrinkage(features: Tensor, count: int) -> Tensor:
    """Σ of the ``count`` smallest squared singular values of the batch's features (BSS; Chen et al. 2019).

    Directions with small singular values are those along which source features do not transfer. In the paper's
    batches all examples differ. With few labels a batch may contain an example twice; then some singular values
    are 0 whatever the features are, and these are skipped.

    Args:
        features: (n, d).
        count: k, how many singular values.

    Returns:
        A scalar, at least 0.
    """
    values = torch.linalg.svdvals(features)
    tolerance = values[0].detach() * max(features.shape) * torch.finfo(features.dtype).eps
    rank = (values.detach() > tolerance).sum()
    index = torch.arange(len(values), device=values.device)
    return (values.square() * ((index < rank) & (index >= rank - count))).sum()


def feature_map_distance(maps: Sequence[Tensor], source: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """mean_i Σ_maps Σ_j W_j ‖FM_j(x_i) − FM⁰_j(x_i)‖²: channels stay what they were (DELTA; Li et al. 2019).

    Args:
        maps: the network's feature maps, each (n, channels, positions).
        source: the source network's feature maps, on the same examples.
        weights: of the channels, (channels,) for each map.

    Returns:
        A scalar, at least 0.
    """
    per_map = [
        (weight * (current - original).square().sum(2)).sum(1).mean()
        for current, original, weight in zip(maps, source, weights, strict=True)
    ]
    return torch.stack(per_map).sum()


def feature_maps(backbone: nn.Module, names: Sequence[str], images: Tensor) -> list[Tensor]:
    """The outputs of a backbone's blocks, each as (n, channels, positions).

    The pass changes nothing: even in training mode, BatchNorm's statistics stay as they were.

    Args:
        backbone: in training or evaluation mode.
        names: of the blocks.
        images: (n, channels, size, size).
    """
    maps: dict[str, Tensor] = {}

    def keeping(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            maps[name] = by_channel(output)

        return keep

    hooks = [backbone.get_submodule(name).register_forward_hook(keeping(name)) for name in names]
    functional_call(backbone, {name: value.clone() for name, value in backbone.named_buffers()}, (images,))
    for hook in hooks:
        hook.remove()
    return [maps[name] for name in names]


def by_channel(output: Tensor) -> Tensor:
    """A block's output as (n, channels, positions), from (n, c), (n, c, height, width), or tokens (n, t, c)."""
    return output.transpose(1, 2) if output.dim() == 3 else output.unsqueeze(-1).flatten(2)


class L2SP(nn.Module):
    """``starting_point_penalty``: decays modules that have a ``source_<name>`` towards it, and the head towards 0."""

    def __init__(
        self, features: int, classes: int, *, modules: Mapping[str, nn.Module], alpha: float, beta: float
    ) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        shared = [name for name in modules if SOURCE + name in modules]
        self.shared = [pair for name in shared for pair in _pairs(modules[name], modules[SOURCE + name])]
        self.own = list(modules["head"].parameters())

    def forward(self, progress: Tensor) -> Tensor:
        """A scalar."""
        return starting_point_penalty(self.shared, self.own, self.alpha, self.beta)


class EWC(nn.Module):
    """``elastic_penalty`` on every weight whose source value is in ``modules`` too (Kirkpatrick et al. 2017).

    ``modules["fisher"]`` is a ``Record`` of the diagonal Fisher information, by the parameters' full names.
    """

    def __init__(self, features: int, classes: int, *, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.weights: list[tuple[Tensor, Tensor, Tensor]] = []
        for key, fisher in modules["fisher"].named_buffers():
            name, _, parameter = key.replace("/", ".").partition(".")
            if SOURCE + name in modules:
                current, original = (
                    modules[module_name].get_parameter(parameter) for module_name in (name, SOURCE + name)
                )
                self.weights.append((current, original, fisher))

    def forward(self, progress: Tensor) -> Tensor:
        """A scalar."""
        return elastic_penalty(self.weights)


class BSS(nn.Module):
    """``spectral_shrinkage`` of a batch's features: batch spectral shrinkage (Chen et al. 2019)."""

    def __init__(self, features: int, classes: int, *, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, target: Output, progress: Tensor) -> Tensor:
        """A scalar."""
        return spectral_shrinkage(target.features, self.k)


class DELTA(nn.Module):
    """α · ``feature_map_distance`` between backbone and source backbone + β/2 · ‖head‖² (Li et al. 2019).

    The trained backbone keeps its mode, and so may use the batch's BatchNorm statistics; the source's is in evaluation
    mode. ``modules["channel_weights"]`` is a ``Record`` of each block's channel weights.
    """

    def __init__(
        self, features: int, classes: int, *, modules: Mapping[str, nn.Module], alpha: float, beta: float
    ) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        # In a list and a tuple: a module registered here would be trained as the loss's own.
        self.own = list(modules["head"].parameters())
        self.backbones = (modules["backbone"], modules[SOURCE + "backbone"])
        self.weights = dict(modules["channel_weights"].named_buffers())

    def forward(self, target: Output, progress: Tensor) -> Tensor:
        """A scalar; ``target.inputs`` are images."""
        assert target.inputs is not None
        current, original = self.backbones
        maps = feature_maps(current, list(self.weights), target.inputs)
        with torch.no_grad():
            source = feature_maps(original, list(self.weights), target.inputs)
        distance = feature_map_distance(maps, source, list(self.weights.values()))
        return self.alpha * distance + self.beta / 2 * squared_norm(self.own)


def _pairs(module: nn.Module, source: nn.Module) -> list[tuple[Tensor, Tensor]]:
    return list(zip(module.parameters(), source.parameters(), strict=True))
