"""Training one LoFTR on pairs of strips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor, nn

from export.networks.loftr.matching import choices
from export.networks.loftr.network import Loftr
from export.tasks.match.config import MatchConfig
from export.tasks.match.judge import TOLERANCE, enough, measure
from export.tasks.match.loss import Truth, choice_loss, offset_loss
from export.tasks.match.pairs import PLACES
from export.training.task import Arrays, Batch, Samples, Tensors
from runtime.tasks.match.record import STRIPS


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchTask:
    """A LoFTR whose cells choose each other; it sees (n, 2, 1, y, x) strips."""

    config: MatchConfig
    train: Samples
    validation: Samples
    data: str

    @property
    def label(self) -> str:
        """The network, as progress and curves call it."""
        return "loftr"

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How much int8 may lose of every measure."""
        return TOLERANCE

    def identity(self) -> dict[str, Any]:
        """Return what decides the weights beside recipe and seed."""
        kept = self.config.model_dump(mode="json", include={"network", "trained", "data"})
        return {**kept, "images": self.data}

    def network(self) -> nn.Module:
        """Return the fresh network."""
        return Loftr(self.config.network)

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        """Return the loss of choices and of places within cells, and what the device reads."""
        loftr = cast("Loftr", network)
        first, second = batch.inputs[STRIPS].unbind(dim=1)
        cells = self.config.trained.cells
        truth = Truth.of(batch.targets[PLACES], cells)
        seen = loftr.see(first, second)
        loss = choice_loss(seen.log_confidence, truth)
        if loftr.sizes.fine != "none":
            loss = loss + offset_loss(loftr, seen, truth, cells[1])
        found = choices(seen.log_confidence.detach())
        return loss, {
            "partner": found.partner,
            "confidence": found.confidence,
            "back_partner": found.back_partner,
            "offset_px": loftr.offset_px(seen, found.partner).detach(),
        }

    def metrics(self, outputs: Arrays, targets: Arrays) -> dict[str, float]:
        """Return how many cells are matched, and how well: see `judge.measure`."""
        return measure(outputs, targets[PLACES], columns=self.config.trained.cells[1])

    def decide(self, outputs: Arrays, targets: Arrays) -> NDArray[Any]:  # noqa: ARG002
        """Return which pairs, (pairs,), have matches enough to be evidence."""
        return enough(outputs)
