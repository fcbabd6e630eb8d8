"""A classifier from a configuration: its streams trained, their fusion fitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.config.training import TrainingConfig
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.base import TileNetwork
from export.networks.fusion import FusedClassifier, Fusion, fit_fusion, input_of, vote, without_idle
from export.networks.pooling import HeldOut
from export.progress import Progress, silent
from export.tasks.classify.streams import BATCH, StreamJob, train_folds, train_stream
from export.training.engine import require_trainable


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

    A late fusion is fitted on votes for specimens that the voting networks were not trained on, and
    leaves out the streams that add nothing. Files that the configuration names are relative to
    `base`.
    """
    jobs = _jobs(config, seed=seed, out=out, base=base)
    for job in jobs.values():
        if job.steps:
            require_trainable(job.training(data))
    streams = {name: train_stream(job, data, progress) for name, job in jobs.items()}
    kind = config.fusion.kind
    classifier = FusedClassifier(kind, streams, classes=len(config.classes))
    classifier.eval()
    held_out = votes_held_out(classifier, data.validation)
    if kind == "late":
        found = {
            name: fold_votes(job, data, kind=kind, folds=config.fusion.folds, progress=progress)
            for name, job in jobs.items()
        }
        held_out = joined(held_out, found, data.train)
    prior = None if config.fusion.prior is None else np.array(config.fusion.prior)
    learned = votes(classifier, data.train), data.train.target
    fit_fusion(classifier, learned, held_out, prior=prior)
    return without_idle(classifier)


def fold_votes(
    job: StreamJob, data: PreparedSplit, *, kind: Fusion, folds: int, progress: Progress = silent
) -> NDArray[np.float32] | None:
    """Return the (training views, v) votes of a stream for views of specimens that it was then
    trained without, or None where the training specimens cannot be divided.
    """
    trained = train_folds(job, data, folds=folds, progress=progress)
    said: NDArray[np.float32] | None = None
    for network, part, images in trained:
        own = stream_votes(network, part, job.input_name, kind=kind)
        if said is None:
            said = np.empty((len(data.train), own.shape[1]), dtype=np.float32)
        said[np.isin(data.train.image, images)] = own
    return said


def joined(
    validation: HeldOut, folds: Mapping[str, NDArray[np.float32] | None], train: PreparedViews
) -> HeldOut:
    """Return the votes for the validation views and, where there are any, those of the folds."""
    said = [one for one in folds.values() if one is not None]
    if len(said) < len(folds):
        return validation
    return HeldOut(
        votes=np.concatenate([np.concatenate(said, axis=1), validation.votes]),
        target=np.concatenate([train.target, validation.target]),
    )


def votes_held_out(classifier: FusedClassifier, views: PreparedViews) -> HeldOut:
    """Return the classifier's votes for views of specimens that it was not trained on."""
    return HeldOut(votes=votes(classifier, views), target=views.target)


def votes(classifier: FusedClassifier, data: PreparedViews) -> NDArray[np.float32]:
    """Return the (views, v) votes of every view as it is."""
    said = [
        stream_votes(network, data, input_of(name), kind=classifier.kind)
        for name, network in classifier.streams.items()
    ]
    return np.concatenate(said, axis=1)


def stream_votes(
    network: TileNetwork, data: PreparedViews, input_name: str, *, kind: Fusion
) -> NDArray[np.float32]:
    """Return the (views, v) votes of one stream for every view as it is."""
    with torch.no_grad():
        shown = map(torch.from_numpy, data.in_order(input_name, batch=BATCH))
        return np.asarray(torch.cat([vote(network, images, kind) for images in shown]).numpy())


def _jobs(config: TrainingConfig, *, seed: int, out: Path, base: Path) -> dict[str, StreamJob]:
    several = len(config.network.architectures) > 1
    jobs = {}
    for architecture, name in config.streams:
        weights = config.network.imagenet.get(architecture)  # type: ignore[call-overload]
        jobs[f"{architecture}:{name}" if several else name] = StreamJob(
            architecture=architecture,
            input_name=name,
            recipe=config.recipe,
            seed=seed,
            out=out / f"{architecture}_{name}",
            imagenet=None if weights is None else base / weights,
        )
    return jobs
