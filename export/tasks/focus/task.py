"""Training one network to tell defocus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.networks.defocus.network import DefocusNetwork
from export.tasks.focus.config import FocusConfig
from export.tasks.focus.judge import TOLERANCE, measure, side
from export.tasks.focus.samples import TRUTH
from export.training.task import Arrays, Batch, Samples, Tensors
from runtime.tasks.focus.record import DEFOCUS, SPREAD


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusTask:
    """A network that sees (n, planes, 1, y, x) inputs and tells the defocus of each plane."""

    config: FocusConfig
    train: Samples
    validation: Samples
    data: str

    @property
    def label(self) -> str:
        """The inputs, as progress and curves call it."""
        return "+".join(self.config.inputs)

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How much int8 may lose of every measure."""
        return TOLERANCE

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights beside recipe and seed."""
        kept = {"inputs", "side_px", "optics", "network", "data"}
        return {**self.config.model_dump(mode="json", include=kept), "images": self.data}

    def network(self) -> nn.Module:
        """Return the fresh network."""
        return DefocusNetwork(
            self.config.network, self.config.shapes, range_um=self.config.optics.range_um
        )

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        """Return the mean negative log-likelihood under a Laplace distribution, whose scale the
        network tells, too (Kendall, Gal 2017, arXiv:1703.04977), and what it tells.
        """
        true = batch.targets[TRUTH]
        told, spread = network(*(torch.flatten(one, 0, 1) for one in batch.inputs.values()))
        told, spread = told.reshape(true.shape), spread.reshape(true.shape)
        loss = (true - told).abs() / spread + torch.log(spread / self.config.optics.range_um)
        return loss.mean(), {DEFOCUS: told, SPREAD: spread}

    def metrics(self, outputs: Arrays, targets: Arrays) -> dict[str, float]:
        """Return how near the truth it is: see `judge.measure`."""
        depth_um = self.config.optics.depth_of_field_um
        return measure(outputs[DEFOCUS], targets[TRUTH], depth_um=depth_um)

    def decide(self, outputs: Arrays, targets: Arrays) -> NDArray[Any]:  # noqa: ARG002
        """Return which planes, (decisions,), it tells to be above focus."""
        return side(outputs[DEFOCUS])
