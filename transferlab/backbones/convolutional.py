"""Convolutional networks on signals, those of Wang, Yan & Oates 2017."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from transferlab.backbones.readers import sequences
from transferlab.backbones.steps import AlongSteps, MeanStep
from transferlab.errors import Refusal
from transferlab.inputs.signal import SignalSpec

KERNELS = (8, 5, 3)
"""Samples that the three convolutions see, of both networks."""


class CNN1d(nn.Sequential):
    """Three blocks Conv1d-BatchNorm-ReLU, kernels 8, 5 and 3, and the mean over time: (n, …) to (n, widths[-1]).

    The fully convolutional network (FCN) of Wang, Yan & Oates 2017, Time Series Classification from Scratch with Deep
    Neural Networks. Blocks keep the length, filled up with zeros, and give (n, length, width).

    Args:
        inputs: the run's signals, of any length.
        widths: of the three convolutions.
    """

    def __init__(self, inputs: SignalSpec, *, widths: list[int]) -> None:
        _refuse_widths(widths)
        super().__init__()
        self.rows, first = sequences(inputs)
        for i, ((width, next_width), kernel) in enumerate(zip(pairwise([first, *widths]), KERNELS, strict=True), 1):
            layers = nn.Sequential(*_convolution(width, next_width, kernel), nn.ReLU())
            self.add_module(f"block{i}", AlongSteps(layers))
        self.pool = MeanStep()


class ResNet1d(nn.Sequential):
    """Three residual blocks of three convolutions each, and the mean over time: (n, …) to (n, widths[-1]).

    The ResNet of Wang, Yan & Oates 2017. Blocks keep the length, filled up with zeros, and give (n, length, width).

    Args:
        inputs: the run's signals, of any length.
        widths: of the three blocks.
    """

    def __init__(self, inputs: SignalSpec, *, widths: list[int]) -> None:
        _refuse_widths(widths)
        super().__init__()
        self.rows, first = sequences(inputs)
        for i, (width, next_width) in enumerate(pairwise([first, *widths]), start=1):
            self.add_module(f"block{i}", AlongSteps(_Residual(width, next_width)))
        self.pool = MeanStep()


class _Residual(nn.Module):
    """Convolutions of 8, 5 and 3 samples, each with BatchNorm, plus the input; ReLU after the first two and the sum.

    The input has a BatchNorm of its own, after a 1×1 convolution where its width isn't the outputs'.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second, third = KERNELS
        self.convolutions = nn.Sequential(
            *(*_convolution(inputs, outputs, first), nn.ReLU()),
            *(*_convolution(outputs, outputs, second), nn.ReLU()),
            *_convolution(outputs, outputs, third),
        )
        widened = [nn.Conv1d(inputs, outputs, kernel_size=1)] if inputs != outputs else []
        self.shortcut = nn.Sequential(*widened, nn.BatchNorm1d(outputs))

    def forward(self, signals: Tensor) -> Tensor:
        return (self.convolutions(signals) + self.shortcut(signals)).relu()


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """A convolution that keeps the length, with BatchNorm; of an even kernel the further zero stands at the end."""
    padding = nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2))
    return [padding, nn.Conv1d(inputs, outputs, kernel), nn.BatchNorm1d(outputs)]


def _refuse_widths(widths: Sequence[int]) -> None:
    if len(widths) != len(KERNELS) or min(widths) < 1:
        raise Refusal(f"backbone.widths={widths}: expected three widths, each at least 1")
