"""Convolutions of small maps as one product of matrices, which is what a CPU is fastest at."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class MatmulConv2d(nn.Conv2d):
    """A convolution that unfolds its windows (Chellapilla et al. 2006) where they are no more than its output channels.

    There the weights are most of the work, and oneDNN takes several times as long over them, most of all over their
    gradient (512 channels on 2×2 maps: 24 ms against 3, two threads in bf16). Elsewhere it is ``nn.Conv2d``.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 (nn.Conv2d's)
        assert not isinstance(self.padding, str)
        (above, left), (height, width), (down, right) = self.padding, self.kernel_size, self.stride
        rows = (input.shape[2] + 2 * above - height) // down + 1
        columns = (input.shape[3] + 2 * left - width) // right + 1
        if len(input) * rows * columns > self.out_channels:
            return super()._conv_forward(input, weight, bias)
        padded = functional.pad(input.permute(0, 2, 3, 1), (0, 0, left, left, above, above))
        windows = padded.unfold(1, height, down).unfold(2, width, right).permute(0, 1, 2, 4, 5, 3)
        outputs = functional.linear(windows.flatten(3), weight.permute(0, 2, 3, 1).flatten(1), bias)
        return outputs.permute(0, 3, 1, 2)


def with_matmuls(module: nn.Module) -> nn.Module:
    """``module``, each of its convolutions that can be one made a ``MatmulConv2d``; weights and names stay."""
    for layer in module.modules():
        plain = type(layer) is nn.Conv2d and layer.groups == 1 and layer.dilation == (1, 1)
        if plain and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
            layer.__class__ = MatmulConv2d
    return module
