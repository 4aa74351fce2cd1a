"""Several heads that vote."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class VotingHead(nn.Module):
    """A weighted vote: every member votes for its most probable class.

    Maps features (n, d) to the logarithm of each class's share of the votes (n, classes).

    Args:
        members: heads; each maps features (n, d) to logits (n, classes).
        votes: the weight of each member's vote, above 0.
    """

    votes: Tensor

    def __init__(self, members: Sequence[nn.Module], votes: Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("votes", votes.float())

    def forward(self, features: Tensor) -> Tensor:
        """Log shares (n, classes); a class without votes is far below every other."""
        logits = torch.stack([member(features) for member in self.members])
        cast = one_hot(logits.argmax(2), logits.shape[2]).to(logits)
        shares = torch.tensordot(self.votes.to(logits) / self.votes.sum().to(logits), cast, 1)
        return shares.clamp_min(torch.finfo(torch.float32).tiny).log()
