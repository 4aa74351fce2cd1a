"""Which device and precision a run really uses, and on what machine."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any

import torch

from transferlab import __version__
from transferlab.errors import Refusal
from transferlab.schema import TrainConfig


def on_device(config: TrainConfig) -> TrainConfig:
    """``config`` with ``auto`` resolved, and torch told how many threads to use.

    ``device=auto`` takes a CUDA GPU, else Apple's, else the CPU; ``precision=auto`` is bf16 on a GPU that has it, fp32
    elsewhere.

    Raises:
        Refusal: if the device asked for isn't there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = next(name for name in there if there[name]) if config.device == "auto" else config.device
    if not there[device]:
        raise Refusal(f"device={device}: not on this machine. Choices: auto, {', '.join(n for n in there if there[n])}")
    torch.set_num_threads(config.threads)
    bf16 = device == "cuda" and torch.cuda.is_bf16_supported()
    precision = ("bf16" if bf16 else "fp32") if config.precision == "auto" else config.precision
    return replace(config, device=device, precision=precision)


def machine(config: TrainConfig) -> dict[str, Any]:
    """What a stage's numbers depend on beside its config; ``config`` is resolved."""
    return {
        "torch": torch.__version__,
        "device": config.device,
        "precision": config.precision,
        "threads": config.threads,
    }


def environment(config: TrainConfig) -> dict[str, Any]:
    """What a run's numbers may depend on beside its config: versions, machine, the device in words.

    Args:
        config: resolved.
    """
    return {
        "transferlab": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if config.device == "cuda" else config.device,
        "threads": config.threads,
        "precision": config.precision,
    }
