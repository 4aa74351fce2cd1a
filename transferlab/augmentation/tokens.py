"""Random views of texts, a whole batch at a time on its own device.

Texts and their views are (n, length), int64, with 0 where there is no token. Each example gets changes
of its own, from torch's global generator.
"""

from __future__ import annotations

import torch
from torch import Tensor

from transferlab.inputs.tokens import PADDING, UNKNOWN


def masked(tokens: Tensor, *, fraction: float) -> Tensor:
    """Makes tokens unknown with probability ``fraction`` (word dropout; Iyyer et al. 2015).

    Args:
        tokens: (n, length).
        fraction: between 0 and 1.

    Returns:
        Texts of the same shape.
    """
    hidden = (torch.rand(tokens.shape, device=tokens.device) < fraction) & (tokens != PADDING)
    return tokens.masked_fill(hidden, UNKNOWN)
