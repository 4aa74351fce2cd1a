"""A small transformer on sequences: signals, texts, and images row by row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from transferlab.backbones.readers import sequences
from transferlab.backbones.steps import MeanStep
from transferlab.errors import Refusal
from transferlab.inputs.image import ImageSpec
from transferlab.inputs.signal import SignalSpec
from transferlab.inputs.tokens import TokensSpec
from transferlab.models.embeddings import MeanWord

FEEDFORWARD = 4
"""Width of the layer between the two linear maps of a block, as a multiple of the block's."""

SIGNAL_PATCH = 4
"""Samples of a signal that make a token at least, for a single one says little."""

SIGNAL_TOKENS = 64
"""Tokens of a signal at most, for the time of attention grows with the square of their number."""


class Transformer(nn.Sequential):
    """A transformer's encoder and the mean over its tokens: (n, …) to (n, width).

    The encoder of Vaswani et al. 2017 with normalisation before each part instead of after it (Xiong et al. 2020),
    GELU, and sinusoidal positions. These are counted from the end, where every text ends, so that a text's features
    don't depend on how many places stand free before it. Free places are zeros in every block, are never attended to,
    and don't count in the mean; a text without a word has zeros as features.

    Blocks give (n, tokens, width); the last one normalises what it gives.

    Args:
        inputs: of a run; a step is a sample of a signal, a word of a text, or a row of an image.
        width: of a token, a multiple of ``heads``.
        heads: of each attention.
        layers: one above the other.
        dropout: probability with which a number is left out: of tokens with their positions, attention weights, and
            what a part adds.
        patch: steps that make one token, of a linear map; the last token is filled up with zeros. ``auto``: 1, and of a
            signal ``SIGNAL_PATCH``, or more, so that there are no more than ``SIGNAL_TOKENS`` tokens.
    """

    def __init__(
        self,
        inputs: SignalSpec | TokensSpec | ImageSpec,
        *,
        width: int,
        heads: int,
        layers: int,
        dropout: float,
        patch: int | Literal["auto"],
    ) -> None:
        text, steps = isinstance(inputs, TokensSpec), inputs.shape[-1]
        if patch == "auto":
            patch = min(max(SIGNAL_PATCH, -(-steps // SIGNAL_TOKENS)), steps) if isinstance(inputs, SignalSpec) else 1
        for name, value in (("width", width), ("heads", heads), ("layers", layers), ("patch", patch)):
            if value < 1:
                raise Refusal(f"backbone.{name}={value}: expected at least 1")
        if width % heads:
            raise Refusal(f"backbone.width={width}: expected a multiple of backbone.heads={heads}")
        if not 0 <= dropout < 1:
            raise Refusal(f"backbone.dropout={dropout}: expected a number from 0 to 1, 1 excluded")
        if text and patch > 1:
            raise Refusal(f"backbone.patch={patch}: expected 1, for a text is read word by word")
        if patch > steps:
            raise Refusal(f"backbone.patch={patch}: expected at most {steps}, the steps of the {inputs.kind.many}")
        super().__init__()
        self.rows, first = sequences(inputs)
        self.stem = _Tokens(first, width, -(-steps // patch), patch=patch, dropout=dropout, text=text)
        for i in range(layers):
            last = i == layers - 1
            self.add_module(f"block{i + 1}", _Layer(width, heads, dropout=dropout, text=text, last=last))
        self.pool = MeanWord() if text else MeanStep()


class _Tokens(nn.Module):
    """A sequence (n, steps, inputs) to tokens with their positions, (n, tokens, width); zeros where no word is."""

    positions: Tensor

    def __init__(self, inputs: int, width: int, count: int, *, patch: int, dropout: float, text: bool) -> None:
        super().__init__()
        self.patch, self.text, self.length = patch, text, patch * count
        self.embed = nn.Linear(patch * inputs, width)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("positions", _sinusoidal(count, width).flip(0), persistent=False)

    def forward(self, sequence: Tensor) -> Tensor:
        filled = pad(sequence, (0, 0, 0, self.length - sequence.shape[1]))
        tokens = self.dropout(self.embed(filled.unflatten(1, (-1, self.patch)).flatten(2)) + self.positions)
        return tokens * _present(sequence) if self.text else tokens


class _Layer(nn.Module):
    """Tokens to tokens, (n, tokens, width): attention, then two linear maps, each added to what it reads.

    Written out, for ``nn.TransformerEncoderLayer`` doesn't call its own parts in evaluation, so that nothing could be
    put in their place or read there; the same function.
    """

    def __init__(self, width: int, heads: int, *, dropout: float, text: bool, last: bool) -> None:
        super().__init__()
        self.text = text
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads, dropout)
        self.feedforward = nn.Sequential(
            nn.Linear(width, FEEDFORWARD * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(FEEDFORWARD * width, width),
        )
        self.dropout = nn.Dropout(dropout)
        self.end = nn.LayerNorm(width) if last else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        present = _present(tokens) if self.text else None
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens), present))
        tokens = self.end(tokens + self.dropout(self.feedforward(self.norm2(tokens))))
        return tokens if present is None else tokens * present


class _Attention(nn.Module):
    """Attention of several heads of tokens to one another, (n, tokens, width) to the same shape."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        """Attention to the tokens that are ``present``, (n, tokens, 1); to all where none is, or where it is None."""
        split = self.project(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        mask = None
        if present is not None:
            mask = (present | ~present.any(1, keepdim=True)).transpose(1, 2).unsqueeze(1)
        dropout = self.dropout if self.training else 0.0
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.join(attended.transpose(1, 2).flatten(2))


def _present(tokens: Tensor) -> Tensor:
    """Which tokens are there, (n, tokens, 1): those that aren't zeros throughout."""
    return (tokens != 0).any(2, keepdim=True)


def _sinusoidal(count: int, width: int) -> Tensor:
    """Sines in the even columns and cosines in the odd ones, (count, width): section 3.5 of Vaswani et al. 2017."""
    columns = torch.arange(width)
    rates = 10_000.0 ** (-(columns - columns % 2) / width)
    return torch.sin(torch.arange(count)[:, None] * rates + (columns % 2) * (torch.pi / 2))
