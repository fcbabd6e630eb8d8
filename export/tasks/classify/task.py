"""The task "classify": its samples and its networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.config.recipe import ClassifyRecipe
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.compact import CompactNet
from export.networks.imagenet import load_imagenet
from export.networks.registry import make_network
from export.networks.texture import TextureNet
from export.tasks.classify.judge import TOLERANCE, ClassJudge
from export.training.task import Arrays, Batch, Sample, Tensors
from runtime.preprocess.spec import TEXTURE, input_channels
from runtime.tasks.classify.record import SCORES

CLASS, IMAGE, CELLS = "class", "image", "cells"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSamples:
    """One input of prepared views with their classes: a `Samples` of the trainer.

    `variants` and `views` as in `ClassifyRecipe`; judged, every view is shown once as it is.
    """

    prepared: PreparedViews
    input_name: str
    variants: str = "one"
    views: str = "held"

    def __len__(self) -> int:
        return len(self.prepared) * (len(self.prepared.shown) if self._all else 1)

    @property
    def _all(self) -> bool:
        return self.variants == "all" and self.views == "held"

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Return (channels, y, x) of the input; the class, the image, and the cells if known."""
        ways = len(self.prepared.shown)
        view, way = divmod(index, ways) if self._all else (index, 0)
        if rng is not None and self.views == "fresh":
            sampled = self.prepared.fresh(view, rng)
        elif rng is not None and not self._all:
            sampled = self.prepared.sampled(view, int(rng.integers(ways)))
        else:
            sampled = self.prepared.sampled(view, way)
        image, cells = self.prepared.image[view], self.prepared.images.cells
        targets = {CLASS: self.prepared.images.target[image], IMAGE: image}
        return Sample(
            inputs={self.input_name: self.prepared.stacked(self.input_name, sampled)},
            targets=targets if cells is None else {**targets, CELLS: cells[image]},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTask:
    """One architecture that classifies one input: a `Task` of the trainer.

    `imagenet` is a file of weights to start from.
    """

    data: PreparedSplit
    architecture: str
    input_name: str
    recipe: ClassifyRecipe
    imagenet: Path | None = None

    @property
    def label(self) -> str:
        """How progress and curves call it."""
        return f"{self.architecture} {self.input_name}"

    @property
    def train(self) -> ClassSamples:
        """The training views, in the recipe's variants."""
        recipe = self.recipe
        return ClassSamples(
            prepared=self.data.train,
            input_name=self.input_name,
            variants=recipe.variants,
            views=recipe.views,
        )

    @property
    def validation(self) -> ClassSamples:
        """The validation views."""
        return ClassSamples(prepared=self.data.validation, input_name=self.input_name)

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How much accuracy int8 may lose."""
        return TOLERANCE

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights beside recipe and seed."""
        start = self.imagenet
        return {
            "architecture": self.architecture,
            "input": self.input_name,
            "data": self.data.train.fingerprint(self.input_name),
            "imagenet": "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest(),
        }

    def network(self) -> nn.Module:
        """Return the fresh network, or one with the weights to start from."""
        network = make_network(
            self.architecture,
            channels=input_channels(self.input_name),
            classes=len(self.data.train.images.classes),
            head="area" if self._by_area else "pooled",
        )
        if self.imagenet is not None:
            load_imagenet(network, self.imagenet)
        if isinstance(network, TextureNet):
            shares = next(self.data.train.in_order(TEXTURE, batch=len(self.data.train)))
            network.standardise(*map(torch.from_numpy, channel_moments(shares)))
        return network

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        """Return the cross-entropy and the (n, classes) scores; where the share of every class is
        known in every cell of a tile, the cells' cross-entropy is added.
        """
        images, target = batch.inputs[self.input_name], batch.targets[CLASS]
        train = self.data.train
        weights = class_weights(train.target, self.recipe, classes=len(train.images.classes))
        weights = weights.to(images.device)
        if not self._by_area:
            logits = network(images)
            loss = nn.functional.cross_entropy(logits, target, weight=weights)
        else:
            logits, cells = cast("CompactNet", network).with_cells(images)
            shares = nn.functional.adaptive_avg_pool2d(batch.targets[CELLS], cells.shape[-2:])
            loss = nn.functional.cross_entropy(logits, target, weight=weights)
            loss = loss + nn.functional.cross_entropy(cells, shares)
        return loss, {SCORES: torch.softmax(logits, dim=1)}

    def metrics(self, outputs: Arrays, targets: Arrays) -> dict[str, float]:
        """Return the accuracy: the share of images whose views are right on average."""
        return _judge(targets).metrics(dict(outputs))

    def decide(self, outputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Return the (images,) classes."""
        return _judge(targets).decide(dict(outputs))

    @property
    def _by_area(self) -> bool:
        return self.data.train.images.cells is not None and self.architecture == "compact"


def channel_moments(shares: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and standard deviation, (channels,) float32 each, of (n, channels, y, x)."""
    return shares.mean(axis=(0, 2, 3)), shares.std(axis=(0, 2, 3))


def class_weights(target: NDArray[np.int64], recipe: ClassifyRecipe, *, classes: int) -> Tensor:
    """Return the (classes,) weights that make every class count alike, or ones."""
    counts = np.bincount(target, minlength=classes)
    weights = len(target) / (classes * counts) if recipe.class_weights else counts**0
    return torch.tensor(weights, dtype=torch.float32)


def _judge(targets: Arrays) -> ClassJudge:
    return ClassJudge(target=targets[CLASS], image=targets[IMAGE])
