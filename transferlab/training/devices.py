"""Which device and precision a run really uses, and on what machine."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import fields
from typing import Any, Literal

import torch
from torch import nn

from transferlab import __version__
from transferlab.config.identity import commit
from transferlab.config.schema import ResolvedConfig, TrainConfig
from transferlab.errors import Refusal
from transferlab.models.convolution import with_matmuls
from transferlab.system.processor import cpu_has_bf16


def configure_process(config: TrainConfig) -> ResolvedConfig:
    """Sets this process's threads, memory and determinism; returns the config ``on_this_machine``.

    Raises:
        Refusal: if the device asked for isn't there.
    """
    resolved = on_this_machine(config)
    torch.set_num_threads(resolved.threads)
    keep_freed_memory()
    if resolved.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at its first matrix product
        torch.use_deterministic_algorithms(resolved.deterministic)
    return resolved


def on_this_machine(config: TrainConfig) -> ResolvedConfig:
    """``config`` with ``device=auto`` and ``precision=auto`` resolved for this machine.

    ``device=auto`` takes a CUDA GPU, else Apple's, else the CPU; ``precision=auto`` is bf16 where the processor
    multiplies matrices in bf16, fp32 elsewhere.

    Raises:
        Refusal: if the device asked for isn't there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = next(name for name in available if available[name]) if config.device == "auto" else config.device
    if not available[device]:
        raise Refusal(
            f"device={device}: not on this machine. Choices: auto, {', '.join(n for n in available if available[n])}"
        )
    values: dict[str, Any] = {field.name: getattr(config, field.name) for field in fields(config)}
    values |= {"device": device, "precision": _precision(config, device)}
    return ResolvedConfig(**values)


def precision_of(config: TrainConfig) -> Literal["bf16", "fp32"]:
    """The precision that ``config`` resolves to on this machine."""
    return on_this_machine(config).precision


def _precision(config: TrainConfig, device: str) -> Literal["bf16", "fp32"]:
    if config.precision == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return config.precision


def has_bf16(device: str) -> bool:
    """Whether the device's processor multiplies matrices in bf16."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and cpu_has_bf16()


def to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """``module`` on the device, its convolutions channels last, as images lie in memory and kernels want them."""
    if device.type == "cpu":
        with_matmuls(module)
    return module.to(device).to(memory_format=torch.channels_last)


def keep_freed_memory() -> None:
    """Tells glibc to keep memory that a step frees; otherwise each step faults thousands of pages in again."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # another C library
    trim_threshold, mmap_threshold = -1, -3  # as malloc.h numbers them
    set_option(
        mmap_threshold, 2**25
    )  # the largest value that every glibc accepts; larger blocks are still returned at once
    set_option(trim_threshold, 2**31 - 1)


def machine(config: ResolvedConfig) -> dict[str, Any]:
    """What a stage's results depend on besides its config."""
    return {
        "torch": torch.__version__,
        "device": config.device,
        "precision": config.precision,
        "threads": config.threads,
        "deterministic": config.deterministic,
    }


def environment(config: TrainConfig) -> dict[str, Any]:
    """What a run's results may depend on besides its config: versions, machine, the device's name.

    Args:
        config: resolved.
    """
    return {
        "transferlab": __version__,
        **commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if config.device == "cuda" else config.device,
        "threads": config.threads,
        "precision": config.precision,
        "deterministic": config.deterministic,
    }
