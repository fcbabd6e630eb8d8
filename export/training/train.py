"""Train one network on one input: an epoch, a checkpoint, the curves, and on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.config.recipe import Recipe
from export.datasets.prepared import Batch, Prepared
from export.networks.base import TileNetwork
from export.networks.compact import CompactNet
from export.networks.imagenet import load_imagenet
from export.networks.registry import make_network
from export.progress import Progress, silent
from export.training.checkpoint import Checkpoint, load, save
from export.training.curves import write_curves
from export.training.device import arithmetic, best_device, place, to_device, uses_bf16
from runtime.errors import ConfigRefused
from runtime.preprocess.spec import input_channels

EPOCH_STREAM = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTraining:
    """One network to train: on what, how, and the folder for its checkpoint and curves.

    `imagenet` is a file of weights to start from.
    """

    train: Prepared
    validation: Prepared
    architecture: str
    input_name: str
    recipe: Recipe
    seed: int
    out: Path
    imagenet: Path | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Return what decides the weights; the number of threads is left out."""
        start = self.imagenet
        return {
            "architecture": self.architecture,
            "input": self.input_name,
            "recipe": self.recipe.model_dump(exclude={"threads"}),
            "seed": self.seed,
            "data": self.train.fingerprint(self.input_name),
            "imagenet": "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest(),
        }


def require_trainable(what: NetworkTraining) -> None:
    """Raise what `train_network` would before its first epoch, and train nothing.

    Of several networks none should train for an hour before the last one's folder is refused.
    """
    _begun(what, what.identity)


def train_network(what: NetworkTraining, progress: Progress = silent) -> TileNetwork:
    """Return the trained network, on the processor and in evaluation mode.

    After every epoch `out` holds a checkpoint, curves.csv and curves.png. A training found there
    goes on where it stopped and ends as if it had never stopped; a finished one is loaded at once.
    Raises ConfigRefused when `out` holds another training.
    """
    identity = what.identity
    training = _begun(what, identity)
    label = f"{what.architecture} {what.input_name}"
    for epoch in range(training.epoch, what.recipe.epochs):
        training.run_epoch(epoch, progress, label)
        save(what.out, training.checkpoint(), identity=identity)
        write_curves(what.out, training.curves, title=f"{label}, seed {what.seed}")
    network = training.network
    network.to(device="cpu", memory_format=torch.contiguous_format)
    network.eval()
    return network


def network_logits(network: TileNetwork, data: Prepared, input_name: str) -> NDArray[np.float32]:
    """Return the (views, classes) logits of every view as it is."""
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        logits = [
            network(to_device(torch.from_numpy(batch.images), device)).float().cpu()
            for batch in data.in_order(input_name, batch=32)
        ]
    return np.asarray(torch.cat(logits).numpy())


def _begun(what: NetworkTraining, identity: dict[str, Any]) -> _Training:
    """Return the training, where its checkpoint left it if there is one."""
    training = _Training(what)
    held = load(what.out, identity=identity)
    if held is not None:
        try:
            training.restore(held)
        except RuntimeError as error:
            # The same settings, but the network's code has changed since: other layers or shapes.
            raise ConfigRefused(
                f"checkpoint in {what.out} does not fit {what.architecture} as it is now",
                value=" ".join(str(error).split())[:200],
                remedy="choose another --out, or remove it to train afresh",
            ) from None
    return training


class _Training:
    def __init__(self, what: NetworkTraining) -> None:
        train, recipe = what.train, what.recipe
        self._train, self._validation, self._input = train, what.validation, what.input_name
        self._recipe, self._seed = recipe, what.seed
        self._device = best_device()
        self._bf16 = uses_bf16(recipe, self._device)
        self.epoch, self.curves = 0, list[dict[str, float]]()
        torch.set_num_threads(recipe.threads)
        torch.manual_seed(what.seed)
        self._area = train.images.cells is not None and what.architecture == "compact"
        classes = len(train.images.classes)
        self.network = make_network(
            what.architecture,
            channels=input_channels(what.input_name),
            classes=classes,
            head="area" if self._area else "pooled",
        )
        if what.imagenet is not None:
            load_imagenet(self.network, what.imagenet)
        place(self.network, self._device)
        self._weights = class_weights(train, recipe).to(self._device)
        self._optimiser = _optimiser(self.network, recipe)
        self._steps = train.epoch_batches(batch=recipe.batch, variants=recipe.variants)
        self._schedule = _schedule(self._optimiser, recipe, self._steps)

    def restore(self, held: Checkpoint) -> None:
        self.network.load_state_dict(held.network)
        self._optimiser.load_state_dict(held.optimiser)
        self._schedule.load_state_dict(held.schedule)
        self.epoch, self.curves = held.epoch, held.curves

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            epoch=self.epoch,
            network=self.network.state_dict(),
            optimiser=self._optimiser.state_dict(),
            schedule=self._schedule.state_dict(),
            curves=self.curves,
        )

    def run_epoch(self, epoch: int, progress: Progress, label: str) -> None:
        # Drop-out and order start from the epoch, so that a resumed training draws the same.
        torch.manual_seed(self._seed * 1_000_003 + epoch + 1)
        rng = np.random.default_rng([self._seed, EPOCH_STREAM, epoch])
        self.network.train()
        loss_sum, right, seen = 0.0, 0, 0
        batches = self._train.batches(
            self._input, batch=self._recipe.batch, rng=rng, variants=self._recipe.variants
        )
        for done, batch in enumerate(batches, start=epoch * self._steps + 1):
            loss, hits = self._step(batch)
            loss_sum, right = loss_sum + loss * len(batch.target), right + hits
            seen += len(batch.target)
            progress(label, done, self._recipe.epochs * self._steps, f"loss {loss_sum / seen:.3f}")
        self.epoch = epoch + 1
        self.curves = [*self.curves, self._row(loss_sum / seen, right / seen)]

    def _step(self, batch: Batch) -> tuple[float, int]:
        images = to_device(torch.from_numpy(batch.images), self._device)
        target = torch.from_numpy(batch.target).to(self._device)
        with arithmetic(self._device, bf16=self._bf16):
            logits, loss = self._loss(images, target, batch.cells)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        return float(loss.item()), int((logits.argmax(dim=1) == target).sum())

    def _loss(
        self, images: Tensor, target: Tensor, cells: NDArray[np.float32] | None
    ) -> tuple[Tensor, Tensor]:
        """Return the logits and the loss; area labels add the cross-entropy of every cell."""
        if not self._area or cells is None:
            logits = self.network(images)
            return logits, nn.functional.cross_entropy(logits, target, weight=self._weights)
        assert isinstance(self.network, CompactNet)
        logits, cell_logits = self.network.with_cells(images)
        shares = torch.from_numpy(cells).to(self._device)
        shares = nn.functional.adaptive_avg_pool2d(shares, cell_logits.shape[-2:])
        tile_loss = nn.functional.cross_entropy(logits, target, weight=self._weights)
        return logits, tile_loss + nn.functional.cross_entropy(cell_logits, shares)

    def _row(self, loss: float, accuracy: float) -> dict[str, float]:
        logits = network_logits(self.network, self._validation, self._input)
        scores = torch.from_numpy(logits).double().log_softmax(dim=1).numpy()
        target = self._validation.target
        by_image = self._validation.image_scores(np.exp(scores).astype(np.float32))
        return {
            "epoch": float(self.epoch),
            "train_loss": loss,
            "validation_loss": float(-scores[np.arange(len(target)), target].mean()),
            "train_accuracy": accuracy,
            "validation_accuracy": float(
                (by_image.argmax(axis=1) == self._validation.image_target).mean()
            ),
        }


def class_weights(train: Prepared, recipe: Recipe) -> Tensor:
    """Return the (classes,) weights that make every class count alike, or ones."""
    counts = np.bincount(train.target, minlength=len(train.images.classes))
    weights = len(train.target) / (len(counts) * counts) if recipe.class_weights else counts**0
    return torch.tensor(weights, dtype=torch.float32)


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def _schedule(
    optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=recipe.learning_rate,
            total_steps=recipe.epochs * steps,
            cycle_momentum=False,
        )
    return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=0)
