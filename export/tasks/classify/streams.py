"""One stream of a classifier: which network reads which input, and its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from scipy.special import log_softmax

from export.config.recipe import ClassifyRecipe
from export.datasets.labelled import LabelledImages
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.base import TileNetwork
from export.progress import Progress, silent
from export.tasks.classify.divide import Fold, fold_images
from export.tasks.classify.linear import BATCH, LINEAR, linear_texture
from export.tasks.classify.task import ClassTask, class_weights
from export.training.engine import TrainingJob, train
from runtime.preprocess.spec import TEXTURE

BEST, CELLS = "best", "texture-cells"
# A linear machine is fitted in no time, and votes are the truer the less it was left without.
LINEAR_FOLDS = 10
# The network over cells is small and its input is at hand: it needs no longer than this.
CELLS_RECIPE = ClassifyRecipe(
    epochs=20, optimiser="adamw", learning_rate=5e-3, weight_decay=5e-2, schedule="one-cycle"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamJob:
    """A stream to train: `architecture` reads `input_name`; `out` gets checkpoints and curves."""

    architecture: str
    input_name: str
    recipe: ClassifyRecipe
    seed: int
    out: Path
    imagenet: Path | None = None

    def training(self, data: PreparedSplit) -> TrainingJob:
        """Return the training of its network; not for what is fitted in one go."""
        recipe = self.recipe
        if self.input_name == TEXTURE:
            recipe = CELLS_RECIPE.model_copy(update={"threads": self.recipe.threads})
        task = ClassTask(
            data=data,
            architecture=CELLS if self.input_name == TEXTURE else self.architecture,
            input_name=self.input_name,
            recipe=recipe,
            imagenet=self.imagenet,
        )
        return TrainingJob(task=task, recipe=recipe, seed=self.seed, out=self.out)

    @property
    def steps(self) -> bool:
        """Whether a network is trained step by step."""
        return self.architecture != LINEAR


def chosen(job: StreamJob, data: PreparedSplit, progress: Progress = silent) -> StreamJob:
    """Return the job with one of the texture's two networks where the best is asked for: the one
    that, trained on the training images, finds those of validation likelier.
    """
    if job.architecture != BEST:
        return job
    cells = replace(job, architecture=CELLS)
    network = cast("TileNetwork", train(cells.training(data), progress))
    linear = linear_texture([data.train], job.recipe)
    likelier = _loss(linear, data.validation, job) <= _loss(network, data.validation, job)
    return replace(job, architecture=LINEAR) if likelier else cells


def train_stream(job: StreamJob, data: PreparedSplit, progress: Progress = silent) -> TileNetwork:
    """Return the trained network of a job whose architecture is `chosen`."""
    if job.architecture != LINEAR:
        return cast("TileNetwork", train(job.training(data), progress))
    both = linear_folds(data.train.images, data.validation.images, seed=job.seed)
    return linear_texture([data.train, data.validation] if both else [data.train], job.recipe)


def linear_folds(
    train_images: LabelledImages, validation: LabelledImages, *, seed: int
) -> list[Fold]:
    """Return the folds, over the images of training and of validation, by which a linear machine
    that learns from both is judged; nothing where it learns from the training images alone: they
    show a single specimen, or no division leaves every class to learn from.
    """
    if train_images.specimens < 2:
        return []
    return fold_images([train_images, validation], folds=LINEAR_FOLDS, seed=seed)


def _loss(network: TileNetwork, views: PreparedViews, job: StreamJob) -> float:
    """Return the loss of the views, every class counting alike if it does in training."""
    with torch.no_grad():
        batches = map(torch.from_numpy, views.in_order(TEXTURE, batch=BATCH))
        logits = torch.cat([network(one) for one in batches]).numpy()
    weights = class_weights(views.target, job.recipe, classes=logits.shape[1])
    said = log_softmax(logits.astype(float), axis=1)[np.arange(len(views)), views.target]
    return -float(np.average(said, weights=weights.numpy()[views.target]))
