"""Where a network trains, and in which arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from export.config.recipe import Recipe
from export.training.task import Arrays, Batch, Sample, Tensors


def best_device() -> torch.device:
    """Return the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Return whether to compute in bf16, weights staying fp32.

    "auto" follows the hardware, not a stopwatch, so that a resumed training goes on as it began.
    GPUs gain. Of processors only those with tile units (AMX) do, and they have to be asked: those
    with AVX512_BF16 alone lose, a training step of 16 views took the compact network 0.37 s in
    bf16 against 0.25 s in fp32.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    return device.type == "cuda" and bool(torch.cuda.is_bf16_supported())


def arithmetic(device: torch.device, *, bf16: bool) -> AbstractContextManager[object]:
    """Return the context to compute forward passes in."""
    context: AbstractContextManager[object] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=bf16
    )
    return context


def place(network: nn.Module, device: torch.device) -> None:
    """Move a network to the device; channels last is the layout convolutions are fastest in."""
    network.to(device=device, memory_format=torch.channels_last)


def to_device(samples: Sample, device: torch.device) -> Batch:
    """Return stacked samples where and how `place` puts a network."""
    return Batch(inputs=_moved(samples.inputs, device), targets=_moved(samples.targets, device))


def to_arrays(tensors: Tensors) -> Arrays:
    """Return tensors as NumPy holds them, floating ones in single precision."""
    found = {name: one.detach().cpu() for name, one in tensors.items()}
    return {
        name: (one.float() if one.is_floating_point() else one).numpy()
        for name, one in found.items()
    }


def _moved(arrays: Arrays, device: torch.device) -> Tensors:
    return {name: _image(torch.from_numpy(one), device) for name, one in arrays.items()}


def _image(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on the device; (n, channels, y, x) ones as convolutions want them."""
    if tensor.ndim == 4:
        return tensor.to(device=device, memory_format=torch.channels_last)
    return tensor.to(device)
