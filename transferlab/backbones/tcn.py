"""Temporal convolutional networks, which read a sequence forwards without a state."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from transferlab.backbones.readers import sequences
from transferlab.backbones.steps import AlongSteps, LastStep, MaxStep
from transferlab.errors import Refusal
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.tokens import TokensSpec


class TCN(nn.Sequential):
    """Residual blocks of two dilated causal convolutions each, and the last step: (n, …) to (n, widths[-1]).

    The temporal convolutional network of Bai, Kolter & Koltun 2018 (arXiv 1803.01271). Block i, from 0 on, has
    dilation 2^i, so the last of m blocks sees 1 + 2·(kernel − 1)·(2^m − 1) steps back, its own included; a block gives
    (n, steps, width), of which no step depends on later ones. Of a text, each number's largest value over all steps is
    taken. Unlike the paper's, convolutions have no weight normalisation: updates of frozen weights (``strategy=lora``)
    couldn't be merged into it.

    Args:
        inputs: of a run; a step is a sample of a signal or a word of a text.
        widths: of the blocks, at least one.
        kernel: steps that a convolution sees, from 2 on.
        dropout: the probability with which a channel is left out, whole, after each convolution.
    """

    def __init__(self, inputs: SignalSpec | TokensSpec, *, widths: list[int], kernel: int, dropout: float) -> None:
        if not widths or min(widths) < 1:
            raise Refusal(f"backbone.widths={widths}: expected at least one width, each at least 1")
        if kernel < 2:
            raise Refusal(f"backbone.kernel={kernel}: expected at least 2")
        if not 0 <= dropout < 1:
            raise Refusal(f"backbone.dropout={dropout}: expected a number from 0 to 1, 1 excluded")
        super().__init__()
        self.rows, first = sequences(inputs)
        for i, (width, next_width) in enumerate(pairwise([first, *widths])):
            residual = _Residual(width, next_width, kernel=kernel, dilation=2**i, dropout=dropout)
            self.add_module(f"block{i + 1}", AlongSteps(residual))
        self.last = MaxStep() if isinstance(inputs, TokensSpec) else LastStep()


class _Residual(nn.Module):
    """Two causal convolutions, each with ReLU and dropout, plus the input, and ReLU after the sum.

    The input passes a 1×1 convolution where it has another width than the outputs.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [nn.ZeroPad1d(((kernel - 1) * dilation, 0)), nn.Conv1d(width, outputs, kernel, dilation=dilation)]
            layers += [nn.ReLU(), nn.Dropout1d(dropout)]
        self.convolutions = nn.Sequential(*layers)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, kernel_size=1)

    def forward(self, sequence: Tensor) -> Tensor:
        return (self.convolutions(sequence) + self.shortcut(sequence)).relu()
