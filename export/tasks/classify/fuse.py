"""A classifier from a configuration: its streams trained, their fusion fitted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

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
from export.tasks.classify.folds import joined, votes_unseen
from export.tasks.classify.linear import BATCH
from export.tasks.classify.streams import StreamJob, chosen, train_stream
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
    jobs = {name: chosen(job, data, progress) for name, job in jobs.items()}
    streams = {name: train_stream(job, data, progress) for name, job in jobs.items()}
    classifier = FusedClassifier(config.fusion.kind, streams, classes=len(config.classes))
    classifier.eval()
    held_out = _held_out(config, jobs, classifier, data, progress)
    prior = None if config.fusion.prior is None else np.array(config.fusion.prior)
    learned = votes(classifier, data.train), data.train.target
    fit_fusion(classifier, learned, held_out, prior=prior)
    return without_idle(classifier)


def _held_out(
    config: TrainingConfig,
    jobs: Mapping[str, StreamJob],
    classifier: FusedClassifier,
    data: PreparedSplit,
    progress: Progress,
) -> HeldOut:
    """Return the votes that the fusion is fitted on, each for a specimen unseen; features, which
    differ from one training to the next, are the classifier's own.
    """
    kind = config.fusion.kind
    if kind == "mid":
        return HeldOut(votes=votes(classifier, data.validation), target=data.validation.target)
    found = [
        votes_unseen(
            job,
            cast("TileNetwork", classifier.streams[name]),
            data,
            partial(stream_votes, input_name=job.input_name, kind=kind),
            folds=config.fusion.folds if kind == "late" else 0,
            progress=progress,
        )
        for name, job in jobs.items()
    ]
    if kind == "late":
        return joined(found, data)
    return HeldOut(votes=found[0].validation, target=data.validation.target)


def votes(classifier: FusedClassifier, data: PreparedViews) -> NDArray[np.float32]:
    """Return the (views, v) votes of every view as it is."""
    said = [
        stream_votes(network, data, input_name=input_of(name), kind=classifier.kind)
        for name, network in classifier.streams.items()
    ]
    return np.concatenate(said, axis=1)


def stream_votes(
    network: TileNetwork, data: PreparedViews, *, input_name: str, kind: Fusion
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
