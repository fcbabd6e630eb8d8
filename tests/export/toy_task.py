"""A second task, so that the trainer is seen to know no classes: where is a spot, how bright?

Two inputs (a picture and its gain), two outputs of different shapes, no class anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.training.task import Arrays, Batch, Sample, Tensors

SIDE_PX = 8


@dataclass(frozen=True, kw_only=True)
class Spots:
    """Spots on noise, drawn when they are asked for."""

    count: int = 48
    stream: int = 0

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        own = np.random.default_rng([self.stream, index])
        place, gain, light = own.uniform(1, 6, 2), own.uniform(0.5, 2), own.uniform(1, 2)
        y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
        spot = light * np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 4)
        noise = (own if rng is None else rng).normal(0, 0.02, spot.shape)
        return Sample(
            inputs={
                "picture": (gain * (spot + noise))[None].astype(np.float32),
                "gain": np.array([gain], dtype=np.float32),
            },
            targets={
                "place": ((place - 3.5) / 2.5).astype(np.float32),
                "light": np.array(light, dtype=np.float32),
            },
        )


class SpotNetwork(nn.Module):
    """Convolution, norm, drop-out (which draws from torch's generator), two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()
        )
        self.drop = nn.Dropout(0.1)
        self.place = nn.Linear(8 * SIDE_PX**2 + 1, 2)
        self.light = nn.Linear(8 * SIDE_PX**2 + 1, 1)

    def forward(self, picture: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat([self.drop(self.look(picture)), gain], dim=1)
        return self.place(seen), self.light(seen)


@dataclass(frozen=True, kw_only=True)
class SpotTask:
    """Where the spot is, in half fields, and how bright."""

    train: Spots = field(default_factory=Spots)
    validation: Spots = field(default_factory=lambda: Spots(count=24, stream=1))
    label: str = "spots"
    autocast: list[bool] = field(default_factory=list)

    @property
    def tolerance(self) -> Mapping[str, float]:
        return {"explained": 0.05}

    def identity(self) -> dict[str, Any]:
        return {"task": "spots", "data": [self.train.count, self.train.stream]}

    def network(self) -> nn.Module:
        return SpotNetwork()

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensors]:
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        place, light = network(*batch.inputs.values())
        off = nn.functional.mse_loss(place.float(), batch.targets["place"])
        dim = nn.functional.mse_loss(light.float()[:, 0], batch.targets["light"])
        return off + dim, {"place": place, "light": light}

    def metrics(self, outputs: Arrays, targets: Arrays) -> dict[str, float]:
        error = ((outputs["place"] - targets["place"]) ** 2).mean()
        return {"explained": float(1 - error / targets["place"].var())}

    def decide(self, outputs: Arrays, targets: Arrays) -> NDArray[np.bool_]:
        return outputs["place"][:, 0] > 0
