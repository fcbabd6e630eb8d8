"""Train the streams and the fusion of a tile classifier from one labelled section."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.config import Recipe
from export.datasets.examples import Batch, ExampleSource
from export.datasets.section import Section
from export.fusion import LateFusion, fit_svm
from export.networks.compact import CELL_PX, CompactNet
from runtime.preprocess.spec import PreprocessSpec

Progress = Callable[[int, int, float], None]


def train(
    section: Section,
    spec: PreprocessSpec,
    lut: NDArray[np.float32],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> LateFusion:
    """Return the trained fusion, in evaluation mode.

    `progress` is told the step, the number of steps and the loss. The same seed on the same
    machine gives the same weights.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(recipe.threads)
    rng = np.random.default_rng([seed, 1])
    source = ExampleSource(section, spec, lut, cell_px=CELL_PX)
    fusion = LateFusion({name: CompactNet(spec.channels(name)) for name in spec.inputs})
    _train_streams(fusion, source, recipe, rng, progress)
    fusion.eval()
    batches = [
        source.batch(recipe.batch, rng) for _ in range(recipe.fusion_examples // recipe.batch)
    ]
    with torch.no_grad():
        opinions = torch.cat([fusion.opinions(tensors(batch)) for batch in batches])
    fit_svm(fusion, opinions.numpy(), np.concatenate([batch.target for batch in batches]))
    return fusion


def tensors(batch: Batch) -> dict[str, Tensor]:
    """Return a batch's inputs as tensors."""
    return {name: torch.from_numpy(array) for name, array in batch.inputs.items()}


def _train_streams(
    fusion: LateFusion,
    source: ExampleSource,
    recipe: Recipe,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Train every stream on its own loss; they share batches and nothing else."""
    fusion.train()
    optimiser = torch.optim.AdamW(
        fusion.streams.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=recipe.steps
    )
    for step in range(recipe.steps):
        batch = source.batch(recipe.batch, rng)
        inputs = tensors(batch)
        losses = [_loss(net(inputs[name]), batch) for name, net in fusion.streams.items()]
        loss = torch.stack(losses).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, recipe.steps, loss.item())


def _loss(outputs: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
    """Return the cross-entropy of the tile's class plus that of every cell's share of tissue."""
    logits, cells = outputs
    share = torch.from_numpy(batch.cells)
    soft_target = torch.stack([1 - share, share], dim=1)
    tile_loss = nn.functional.cross_entropy(logits, torch.from_numpy(batch.target))
    return tile_loss + nn.functional.cross_entropy(cells, soft_target)
