"""Results of an Estimate, kept among the run's modules for later stages."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class Record(nn.Module):
    """Tensors by name, as buffers: they move and are copied with the modules, and no optimiser sees them.

    Args:
        tensors: a dot in a name, which a buffer's can't have, becomes a slash.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "/"), tensor.detach())
