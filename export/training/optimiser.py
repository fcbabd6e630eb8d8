"""The optimiser, the schedule of its learning rate, and the running average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel

from export.config.recipe import Recipe


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the network's weights."""
    groups = weight_groups(network, recipe.weight_decay)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)


def weight_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return the weights that decay, and those that do not: biases and the scales of norms.

    Decay of those only rescales a layer's output and does not regularise: the scale of a
    convolution before a norm has no effect, that of the norm has (Goyal et al. 2017,
    arXiv:1706.02677, section 5.1). All of them have one axis.
    """
    weights = list(network.parameters())
    return [
        {"params": [one for one in weights if one.ndim > 1], "weight_decay": decay},
        {"params": [one for one in weights if one.ndim <= 1], "weight_decay": 0.0},
    ]


def make_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, *, steps: int) -> LRScheduler:
    """Return the learning rate's course over all `steps` of a training."""
    if recipe.schedule == "one-cycle":
        return OneCycleLR(
            optimiser, max_lr=recipe.learning_rate, total_steps=steps, cycle_momentum=False
        )
    return ConstantLR(optimiser, factor=1.0, total_iters=0)


def make_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """Return the running average of weights and batch statistics, or None for a decay of zero."""
    if decay == 0:
        return None

    def averaged(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        # Counters are no weights. Early on the average is short, else it would remember the start.
        if not mean.is_floating_point():
            return now
        kept = torch.clamp(torch.as_tensor((1 + count) / (10 + count)), max=decay)
        return mean + (now - mean) * (1 - kept)

    return AveragedModel(network, avg_fn=averaged, use_buffers=True)
