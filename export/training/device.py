"""Where a network trains, and in which arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from export.config.recipe import Recipe


def best_device() -> torch.device:
    """Return the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Return whether to compute in bf16, weights staying fp32.

    "auto" follows the hardware, not a stopwatch, so that a resumed training goes on as it began.
    GPUs and processors with tile units (AMX) gain. Those with AVX512_BF16 alone lose: a training
    step of 16 views took the compact network 0.37 s in bf16 against 0.25 s in fp32.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported())


def arithmetic(device: torch.device, *, bf16: bool) -> AbstractContextManager[object]:
    """Return the context to compute forward passes in."""
    context: AbstractContextManager[object] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=bf16
    )
    return context


def place(network: nn.Module, device: torch.device) -> None:
    """Move a network to the device; channels last is the layout convolutions are fastest in."""
    network.to(device=device, memory_format=torch.channels_last)


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """Return (n, channels, y, x) images where and how `place` puts a network."""
    return images.to(device=device, memory_format=torch.channels_last)
