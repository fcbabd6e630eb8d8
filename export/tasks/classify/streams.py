"""One stream of a classifier: which network reads which input, and its training, on all training
specimens or without some of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from export.config.recipe import ClassifyRecipe
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.base import TileNetwork
from export.networks.registry import make_network
from export.networks.texture import LEAST_DEVIATION, TextureNet
from export.progress import Progress, silent
from export.tasks.classify.task import ClassTask, class_weights
from export.training.engine import TrainingJob, train
from runtime.preprocess.code_classes import TEXTURE_CHANNELS
from runtime.preprocess.spec import TEXTURE

BATCH = 32
BEST, LINEAR, CELLS = "best", "texture-linear", "texture-cells"
# Of logistic regression on standardised shares; on steel 1 was better than 0.1 and as good as 10.
C = 1.0
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


def train_stream(job: StreamJob, data: PreparedSplit, progress: Progress = silent) -> TileNetwork:
    """Return the trained network; of the texture's two, where the best is asked for, the one that
    finds the validation images likelier.
    """
    if job.architecture == LINEAR:
        return linear_texture(data.train, job.recipe)
    network = cast("TileNetwork", train(job.training(data), progress))
    if job.architecture != BEST:
        return network
    both = (linear_texture(data.train, job.recipe), network)
    return min(both, key=lambda one: _loss(one, data.validation, job))


def linear_texture(train_views: PreparedViews, recipe: ClassifyRecipe) -> TextureNet:
    """Return logistic regression on the shares of whole views, as a network."""
    shares = np.concatenate(list(train_views.in_order(TEXTURE, batch=BATCH))).mean(axis=(2, 3))
    mean, deviation = shares.mean(axis=0), np.maximum(shares.std(axis=0), LEAST_DEVIATION)
    classes = len(train_views.images.classes)
    weights = class_weights(train_views, recipe).numpy()[train_views.target]
    fitted = LogisticRegression(C=C, max_iter=2000).fit(
        (shares - mean) / deviation, train_views.target, sample_weight=weights
    )
    network = make_network(LINEAR, channels=TEXTURE_CHANNELS, classes=classes)
    network = cast("TextureNet", network)
    network.standardise(torch.from_numpy(mean), torch.from_numpy(deviation))
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        network.cells.weight.copy_(torch.from_numpy(weight[:, :, None, None]))
        network.cells.bias.copy_(torch.from_numpy(bias))
    network.eval()
    return network


def train_folds(
    job: StreamJob, data: PreparedSplit, *, folds: int, progress: Progress = silent
) -> list[tuple[TileNetwork, PreparedViews, NDArray[np.int64]]]:
    """Return, for every part of the training specimens, the stream trained without it, the part,
    and which images of the training set it holds.

    Nothing where the training specimens cannot be divided so that every division has all classes.
    """
    found = []
    if job.architecture == LINEAR:
        folds = max(folds, LINEAR_FOLDS)
    for fold, (seen, unseen) in enumerate(fold_images(data.train, folds=folds, seed=job.seed)):
        part = data.train.subset(unseen)
        less = PreparedSplit(train=data.train.subset(seen), validation=part, test=part)
        own = replace(job, out=job.out / f"fold{fold}")
        found.append((train_stream(own, less, progress), part, unseen))
    return found


def fold_images(
    train_views: PreparedViews, *, folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return (seen, unseen) images of every fold, no specimen in both, each class seen in each."""
    images = train_views.images
    folds = min(folds, len(np.unique(images.specimen)))
    if folds < 2:
        return []
    divide = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = divide.split(np.zeros(len(images)), images.target, images.specimen)
    found = [(np.sort(seen), np.sort(unseen)) for seen, unseen in parts if len(unseen)]
    whole = all(len(np.unique(images.target[seen])) == len(images.classes) for seen, _ in found)
    return found if whole else []


def _loss(network: TileNetwork, views: PreparedViews, job: StreamJob) -> float:
    """Return the loss of the views, every class counting alike if it does in training."""
    with torch.no_grad():
        batches = map(torch.from_numpy, views.in_order(TEXTURE, batch=BATCH))
        logits = torch.cat([network(one) for one in batches]).numpy()
    weights = class_weights(views, job.recipe).numpy()[views.target]
    said = log_softmax(logits.astype(float), axis=1)[np.arange(len(views)), views.target]
    return -float(np.average(said, weights=weights))
