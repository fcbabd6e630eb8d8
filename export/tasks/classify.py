"""From prepared data to a fused classifier: train the streams, then fit the fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.config.training import TrainingConfig
from export.datasets.prepared import Prepared
from export.datasets.reading import PreparedParts
from export.networks.fusion import FusedClassifier, fit_fusion
from export.progress import Progress, silent
from export.training.train import NetworkTraining, require_trainable, train_network

BATCH = 32


def train_classifier(
    config: TrainingConfig,
    data: PreparedParts,
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
        trainings[f"{architecture}:{name}" if several else name] = NetworkTraining(
            train=data.train,
            validation=data.validation,
            architecture=architecture,
            input_name=name,
            recipe=config.recipe,
            seed=seed,
            out=out / f"{architecture}_{name}",
            imagenet=None if weights is None else base / weights,
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


def votes(classifier: FusedClassifier, data: Prepared) -> NDArray[np.float32]:
    """Return the (views, v) votes of every view as it is."""
    found = []
    batches = [data.in_order(name, batch=BATCH) for name in classifier.inputs]
    with torch.no_grad():
        for together in zip(*batches, strict=True):
            inputs = dict(zip(classifier.inputs, together, strict=True))
            tensors = {name: torch.from_numpy(batch.images) for name, batch in inputs.items()}
            found.append(classifier.votes(tensors))
    return np.asarray(torch.cat(found).numpy())
