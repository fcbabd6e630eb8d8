"""Join what several streams say: a logarithmic opinion pool of streams that were calibrated first.

A stream's vote is the logarithm of its probabilities. One slope, fitted on votes for specimens that
the stream was not trained on, says how far to believe it (Guo et al. 2017, arXiv:1706.04599); the
joined logits are the sum of what is left (Genest, Zidek 1986, doi:10.1214/ss/1177013825). That is
one number a stream, each fitted alone: weights and offsets fitted together, as stacking does, went
astray on the few specimens that there are. A stream that does not make the held-out images
likelier, by more than a number fitted to them flatters, is left out. The threshold is not fitted at
all: it follows from how common the classes are where the model will work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from export.networks.svm import slope_of

LogVotes = NDArray[np.float64]
# By how much one more number that is fitted to them flatters, all images together (Akaike 1974,
# doi:10.1109/TAC.1974.1100705).
CHANCE_NATS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Votes of streams for images that they were not trained on: `votes` (n, v), the streams side
    by side; `target` (n,) classes.
    """

    votes: NDArray[np.float32]
    target: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """`weights` (streams,), 0 for what is left out, and `offsets` (classes,) of the logits.

    `gains` are by stream, in the order in which they joined, the nats by which one made all
    held-out votes together likelier: the first beside a guess among the classes, another beside
    those before it; and then those by which one that is left out would have.
    """

    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    gains: Mapping[int, float]


def pool(held_out: HeldOut, *, classes: int, prior: NDArray[np.float64] | None = None) -> Pool:
    """Return the weights of late fusion.

    `prior` (classes,) are the shares of the classes where the model will work, all alike without
    it: networks trained with every class counting alike need nothing but its logarithm beside them.
    """
    said = held_out.votes.astype(np.float64).reshape(len(held_out.votes), -1, classes)
    said = said - said.mean(axis=2, keepdims=True)
    slopes = np.array([slope_of(one, held_out.target) for one in said.transpose(1, 0, 2)])
    heard, gains = _heard(said, slopes, held_out.target)
    slopes = np.where(np.isin(np.arange(len(slopes)), heard), slopes, 0)
    weights = slopes * slope_of(np.tensordot(said, slopes, axes=(1, 0)), held_out.target)
    offsets = np.zeros(classes) if prior is None else np.log(prior * classes)
    return Pool(weights=weights, offsets=offsets, gains=gains)


def _heard(
    said: LogVotes, slopes: NDArray[np.float64], target: NDArray[np.int64]
) -> tuple[list[int], dict[int, float]]:
    """Return the streams that are heard, the best and then what makes the images likelier, and
    what each gained or would have.
    """
    loss = len(target) * np.log(said.shape[2])
    heard, gains, left = list[int](), dict[int, float](), set(range(len(slopes)))
    while left:
        losses = {one: _loss(said, slopes, target, [*heard, one]) for one in sorted(left)}
        best = min(losses, key=lambda one: losses[one])
        if heard and losses[best] >= loss - CHANCE_NATS:
            return heard, gains | {one: float(loss - losses[one]) for one in losses}
        gains[best] = float(loss - losses[best])
        heard, loss, left = [*heard, best], losses[best], left - {best}
    return heard, gains


def _loss(
    said: LogVotes, slopes: NDArray[np.float64], target: NDArray[np.int64], heard: list[int]
) -> float:
    """Return the loss of the pool of some streams, nats of all images together."""
    joined = np.tensordot(said[:, heard], slopes[heard], axes=(1, 0))
    log_p = log_softmax(slope_of(joined, target) * joined, axis=1)
    return -float(log_p[np.arange(len(target)), target].sum())
