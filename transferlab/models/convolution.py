"""Convolutions of small maps as one product of matrices, which is what a CPU is fastest at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IntPair = tuple[int, int]


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
        windows: Tensor = _Windows.apply(padded, self.kernel_size, self.stride)  # type: ignore[assignment]
        outputs = functional.linear(windows, weight.permute(0, 2, 3, 1).flatten(1), bias)
        return outputs.view(len(input), rows, columns, -1).permute(0, 3, 1, 2)


class _Windows(torch.autograd.Function):
    """The windows of images (n, height, width, channels), a row (n · rows · columns, kernel height · width · channels).

    By itself autograd takes as long over the gradient of a view of windows as the products take.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: IntPair, stride: IntPair) -> Tensor:
        ctx.shape, ctx.kernel, ctx.stride = images.shape, kernel, stride
        windows = images.unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1]).permute(0, 1, 2, 4, 5, 3)
        ctx.rows, ctx.columns = windows.shape[1:3]
        return windows.flatten(3).flatten(0, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (height, width), (down, right) = ctx.kernel, ctx.stride
        windows = gradients[0].view(ctx.shape[0], ctx.rows, ctx.columns, height, width, -1)
        images = windows.new_zeros(ctx.shape, dtype=torch.promote_types(windows.dtype, torch.float32))
        for i in range(height):
            for j in range(width):
                under = images[:, i : i + down * ctx.rows : down, j : j + right * ctx.columns : right]
                under += windows[:, :, :, i, j]
        return images.to(windows.dtype), None, None


def with_matmuls(module: nn.Module) -> nn.Module:
    """Turns each suitable convolution of ``module`` into a ``MatmulConv2d``, in place; weights and names stay."""
    for layer in module.modules():
        plain = type(layer) is nn.Conv2d and layer.groups == 1 and layer.dilation == (1, 1)
        if plain and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
            layer.__class__ = MatmulConv2d
    return module
