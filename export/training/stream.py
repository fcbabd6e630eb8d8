"""Batches of samples, read ahead by a few threads: never more samples held than two batches."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from export.training.task import Arrays, Sample, Samples

THREADS, BATCHES_HELD = 2, 2
SAMPLE_STREAM, ORDER_STREAM = 23, 21
Draw = Callable[[int], np.random.Generator | None]


def as_they_are(_: int) -> None:
    """Return None: samples for evaluation are read as they are."""


def drawn(seed: int, epoch: int) -> Draw:
    """Return the generators of an epoch's samples, each seeded by seed, epoch and the sample's
    number.

    So a sample looks the same whichever thread reads it, in whatever order, and after a resume.
    """
    return lambda index: np.random.default_rng([seed, SAMPLE_STREAM, epoch, index])


def epoch_order(
    count: int, *, batch: int, seed: int, epoch: int, steps: int | None = None
) -> list[NDArray[np.int64]]:
    """Return the samples of every batch of an epoch: all in a random order, or the first `steps`
    batches of it.

    Batches differ in size by one at most: normalisation over a batch of one would fail.
    """
    order = np.random.default_rng([seed, ORDER_STREAM, epoch]).permutation(count)
    return in_batches(order, batch=batch)[:steps]


def in_batches(order: NDArray[np.int64], *, batch: int) -> list[NDArray[np.int64]]:
    """Return the numbers in groups of `batch` at most, as equal as can be."""
    return np.array_split(order, math.ceil(len(order) / batch))


def read_batches(
    samples: Samples, groups: Sequence[NDArray[np.int64]], draw: Draw
) -> Iterator[Sample]:
    """Yield one stacked sample, (n, ...), for every group.

    While the network works on one batch the next is read. Samples that were read and not handed
    over fill `BATCHES_HELD` batches at most, however many there are and however slow the network.
    """
    if not groups:
        return
    room = BATCHES_HELD * max(map(len, groups))
    waiting = iter([int(index) for group in groups for index in group])
    with ThreadPoolExecutor(THREADS) as pool:
        held: deque[Future[Sample]] = deque()

        def fill() -> None:
            for index in islice(waiting, room - len(held)):
                held.append(pool.submit(samples.read, index, draw(index)))

        try:
            for group in groups:
                fill()
                yield _stacked([held.popleft().result() for _ in group])
        finally:
            for future in held:
                future.cancel()


def _stacked(samples: list[Sample]) -> Sample:
    return Sample(
        inputs=_stack([one.inputs for one in samples]),
        targets=_stack([one.targets for one in samples]),
    )


def _stack(arrays: list[Arrays]) -> Arrays:
    return {name: np.stack([one[name] for one in arrays]) for name in arrays[0]}
