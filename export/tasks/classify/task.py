"""The task "classify": its samples, its networks, and their fusion into one classifier."""

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
from export.config.training import TrainingConfig
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.base import TileNetwork
from export.networks.compact import CompactNet
from export.networks.fusion import FusedClassifier, fit_fusion
from export.networks.imagenet import load_imagenet
from export.networks.registry import make_network
from export.progress import Progress, silent
from export.tasks.classify.judge import TOLERANCE, ClassJudge
from export.training.engine import TrainingJob, require_trainable, train
from export.training.task import Arrays, Batch, Sample, Tensors
from runtime.preprocess.spec import input_channels
from runtime.tasks.classify.record import SCORES

BATCH = 32
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
        return network

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        """Return the cross-entropy and the (n, classes) scores; where the share of every class is
        known in every cell of a tile, the cells' cross-entropy is added.
        """
        images, target = batch.inputs[self.input_name], batch.targets[CLASS]
        weights = class_weights(self.data.train, self.recipe).to(images.device)
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


def class_weights(train: PreparedViews, recipe: ClassifyRecipe) -> Tensor:
    """Return the (classes,) weights that make every class count alike, or ones."""
    counts = np.bincount(train.target, minlength=len(train.images.classes))
    weights = len(train.target) / (len(counts) * counts) if recipe.class_weights else counts**0
    return torch.tensor(weights, dtype=torch.float32)


def train_classifier(
    config: TrainingConfig,
    data: PreparedSplit,
    *,
    seed: int,
    out: Path,
    base: Path = Path(),
    progress: Progress = silent,
) -> FusedClassifier:
    """Return the classifier, its streams trained in folders of `out` and its fusion fitted.

    The fusion is fitted on the training views and calibrated on the validation views, which no
    network was fitted on. Files that the configuration names are relative to `base`.
    """
    several = len(config.network.architectures) > 1
    trainings = {}
    for architecture, name in config.streams:
        weights = config.network.imagenet.get(architecture)
        task = ClassTask(
            data=data,
            architecture=architecture,
            input_name=name,
            recipe=config.recipe,
            imagenet=None if weights is None else base / weights,
        )
        trainings[f"{architecture}:{name}" if several else name] = TrainingJob(
            task=task, recipe=config.recipe, seed=seed, out=out / f"{architecture}_{name}"
        )
    for training in trainings.values():
        require_trainable(training)
    streams = {name: train_network(one, progress) for name, one in trainings.items()}
    classifier = FusedClassifier(config.fusion.kind, streams, classes=len(config.classes))
    classifier.eval()
    fit_fusion(
        classifier,
        votes(classifier, data.train),
        data.train.target,
        held_out=(votes(classifier, data.validation), data.validation.target),
    )
    return classifier


def train_network(training: TrainingJob, progress: Progress = silent) -> TileNetwork:
    """Return the trained network of a `ClassTask`."""
    return cast("TileNetwork", train(training, progress))


def votes(classifier: FusedClassifier, data: PreparedViews) -> NDArray[np.float32]:
    """Return the (views, v) votes of every view as it is."""
    found = []
    batches = [data.in_order(name, batch=BATCH) for name in classifier.inputs]
    with torch.no_grad():
        for together in zip(*batches, strict=True):
            images = dict(zip(classifier.inputs, map(torch.from_numpy, together), strict=True))
            found.append(classifier.votes(images))
    return np.asarray(torch.cat(found).numpy())


def _judge(targets: Arrays) -> ClassJudge:
    return ClassJudge(target=targets[CLASS], image=targets[IMAGE])
