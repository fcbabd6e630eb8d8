"""What a network is trained for, as the engine sees it: arrays by name, and nothing of classes.

A task defines samples, network, loss, metrics and decisions. The engine trains it;
`export.quantise` judges int8 by the same `metrics`, `decide` and `tolerance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = Mapping[str, NDArray[Any]]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the network sees and what it should answer, by name, without a leading axis.

    `inputs` are what the runtime's preprocessing gives; `targets` go to loss and metrics alone.
    """

    inputs: Arrays
    targets: Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples stacked along a new first axis, where the network is."""

    inputs: Tensors
    targets: Tensors


class Samples(Protocol):
    """Samples by number, read one by one, so that only a few are ever held."""

    def __len__(self) -> int:
        """Return how many there are; an epoch shows each of them once."""

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Return one sample; called from several threads at once.

        `rng` draws how it looks in this epoch. Without one it is shown as it is, which is how
        the network is judged.
        """


class Task(Protocol):
    """One network to train."""

    @property
    def label(self) -> str:
        """How progress and curves call it."""

    @property
    def train(self) -> Samples:
        """The samples to learn from."""

    @property
    def validation(self) -> Samples:
        """The samples to be judged on, which share no specimen with those to learn from."""

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How far int8 may fall below fp32, by the name of the metric."""

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights beside recipe and seed, as plain JSON values.

        A checkpoint goes on only under the same identity, so it holds a digest of the data.
        """

    def network(self) -> nn.Module:
        """Return the network as training begins, its weights drawn from torch's generator.

        Called with its inputs in the order of `Sample.inputs`, it gives what is exported.
        """

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        """Return the mean loss of a batch, (), and the network's outputs by name, (n, ...)."""

    def metrics(self, outputs: Arrays, targets: Arrays) -> dict[str, float]:
        """Return the metrics of (n, ...) outputs by name; more is better.

        The outputs are those of a training batch or of all validation samples, so `loss` must not
        return more of each sample than can be held for all of them.
        """

    def decide(self, outputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Return the decisions that follow from the outputs, (decisions,), which int8 must share
        with fp32.

        Of the targets only which samples belong together may be used.
        """
