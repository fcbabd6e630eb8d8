"""Votes of a stream for specimens that the voting network was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.networks.base import TileNetwork
from export.networks.pooling import HeldOut
from export.progress import Progress, silent
from export.tasks.classify.divide import fold_images
from export.tasks.classify.linear import LINEAR, linear_texture
from export.tasks.classify.streams import StreamJob, linear_folds, train_stream

Say = Callable[[TileNetwork, PreparedViews], NDArray[np.float32]]
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """A network, and the images of specimens that it was not trained on: indices into those of the
    training set and of the validation set.
    """

    network: TileNetwork
    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenVotes:
    """(views, v) votes for the validation views, and for the training views or None where the
    training specimens could not be divided.
    """

    train: NDArray[np.float32] | None
    validation: NDArray[np.float32]


def votes_unseen(
    job: StreamJob,
    network: TileNetwork,
    data: PreparedSplit,
    say: Say,
    *,
    folds: int,
    progress: Progress = silent,
) -> UnseenVotes:
    """Return what `say` has a stream say of views of specimens unseen.

    `network` is the trained stream. It votes on the validation images, and trained `folds` times
    more, without a part of the training specimens each, on those. A linear machine that learned
    from both was fitted without a part of both each time.
    """
    judged = _unseen(job, network, data, folds=folds, progress=progress)
    train = _said([(one.network, one.train) for one in judged], data.train, say)
    validation = _said([(one.network, one.validation) for one in judged], data.validation, say)
    assert validation is not None  # Every validation image is unseen by one of them.
    return UnseenVotes(train=train, validation=validation)


def joined(streams: Sequence[UnseenVotes], data: PreparedSplit) -> HeldOut:
    """Return the votes of all streams side by side, for the training views where every stream has
    them, and for the validation views.
    """
    validation = np.concatenate([one.validation for one in streams], axis=1)
    folded = [one.train for one in streams if one.train is not None]
    if len(folded) < len(streams):
        return HeldOut(votes=validation, target=data.validation.target)
    return HeldOut(
        votes=np.concatenate([np.concatenate(folded, axis=1), validation]),
        target=np.concatenate([data.train.target, data.validation.target]),
    )


def _unseen(
    job: StreamJob, network: TileNetwork, data: PreparedSplit, *, folds: int, progress: Progress
) -> list[Unseen]:
    own = Unseen(network=network, train=NONE, validation=np.arange(len(data.validation.images)))
    if job.architecture == LINEAR:
        return _linear_folds(job, data) or [own]
    return [own, *_network_folds(job, data, folds=folds, progress=progress)]


def _network_folds(
    job: StreamJob, data: PreparedSplit, *, folds: int, progress: Progress
) -> Iterator[Unseen]:
    divided = fold_images([data.train.images], folds=folds, seed=job.seed)
    for fold, (seen, unseen) in enumerate(divided):
        part = data.train.subset(unseen)
        less = PreparedSplit(train=data.train.subset(seen), validation=part, test=part)
        network = train_stream(replace(job, out=job.out / f"fold{fold}"), less, progress)
        yield Unseen(network=network, train=unseen, validation=NONE)


def _linear_folds(job: StreamJob, data: PreparedSplit) -> list[Unseen]:
    count = len(data.train.images)

    def own(images: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return images[images < count], images[images >= count] - count

    found = []
    divided = linear_folds(data.train.images, data.validation.images, seed=job.seed)
    for seen, unseen in divided:
        learned = zip((data.train, data.validation), own(seen), strict=True)
        network = linear_texture([part.subset(images) for part, images in learned], job.recipe)
        train, validation = own(unseen)
        found.append(Unseen(network=network, train=train, validation=validation))
    return found


def _said(
    judged: Iterable[tuple[TileNetwork, NDArray[np.int64]]], views: PreparedViews, say: Say
) -> NDArray[np.float32] | None:
    """Return the votes in the views' order, each by the network that has not seen its image."""
    said: NDArray[np.float32] | None = None
    for network, images in judged:
        if not len(images):
            continue
        own = say(network, views.subset(images))
        if said is None:
            said = np.empty((len(views), own.shape[1]), dtype=np.float32)
        said[np.isin(views.image, images)] = own
    return said
