"""Random views of vectors, such as rows of a table, a whole batch at a time on its own device.

Vectors and their views are (n, width). Each example gets random changes of its own, from torch's global generator.
"""

from __future__ import annotations

import torch
from torch import Tensor


def swapped(vectors: Tensor, *, fraction: float) -> Tensor:
    """Takes values from other examples of the batch, so that a category stays one (Bahri et al. 2022).

    Args:
        vectors: (n, width).
        fraction: probability with which a value is replaced by that of a random example.

    Returns:
        Vectors of the same shape.
    """
    others = torch.randint(len(vectors), vectors.shape, device=vectors.device)
    return torch.where(torch.rand_like(vectors) < fraction, vectors.gather(0, others), vectors)


def masked(vectors: Tensor, *, fraction: float) -> Tensor:
    """Sets values to 0, the mean of a number and a missing category, with probability ``fraction``.

    Args:
        vectors: (n, width).
        fraction: between 0 and 1.

    Returns:
        Vectors of the same shape.
    """
    return vectors.masked_fill(torch.rand_like(vectors) < fraction, 0)
