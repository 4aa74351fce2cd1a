"""What hardware there is to compute with, found without torch, whose import takes seconds."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

CPU_FLAGS = Path("/proc/cpuinfo")
GPUS = tuple(map(Path, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))
"""Devices of NVIDIA's driver on Linux, of Windows' driver for Linux, and of AMD's driver."""


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies matrices in bf16: it has AVX512-BF16, as all with AMX have."""
    try:
        lines = CPU_FLAGS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        import torch

        return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return any(line.startswith("flags") and "avx512_bf16" in line.split() for line in lines)


def may_have_gpu() -> bool:
    """Whether torch might find a GPU; only torch itself can be sure."""
    return platform.system() != "Linux" or any(path.exists() for path in GPUS)
