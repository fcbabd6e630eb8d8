"""Fields by number, photographed when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.datasets.defocus.specimens import KINDS
from export.datasets.defocus.stack import KnownStack, Scenery
from export.training.task import Sample
from runtime.preprocess.inputs import Inputs
from runtime.tasks.focus.record import Part, crop_inputs

TRUTH = "z_um"
HELD_STREAM = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSamples:
    """`count` fields of a square crop each, at several distances from focus.

    In an epoch they are drawn by its generators; as they are, by `seed` and their number, and then
    kinds take turns, none is sparse and none beyond the range.
    """

    scenery: Scenery
    count: int
    side_px: int
    planes: int
    parts: tuple[Part, ...]
    sparse: float
    beyond: float
    seed: int

    def __len__(self) -> int:
        """Return how many there are."""
        return self.count

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Return the inputs of one field, (planes, 1, y, x) each, and its defocus, (planes,)."""
        stack = self.draw(index, rng)
        seen = [self.inputs(stack, plane) for plane in range(self.planes)]
        joined = {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}
        return Sample(inputs=joined, targets={TRUTH: stack.z_um})

    def inputs(self, stack: KnownStack, plane: int) -> Inputs:
        """Return the inputs of one crop, (1, 1, y, x)."""
        return crop_inputs(stack.frame(plane), self.parts)

    def draw(self, index: int, rng: np.random.Generator | None) -> KnownStack:
        """Return the field as a camera gives it."""
        shape = (self.side_px, self.side_px)
        if rng is None:
            held = np.random.default_rng([self.seed, HELD_STREAM, index])
            kind = list(KINDS)[index % len(KINDS)]
            return self.scenery.draw(held, shape, kind=kind, planes=self.planes)
        sparse, beyond = rng.random(2) < (self.sparse, self.beyond)
        return self.scenery.draw(
            rng, shape, sparse=bool(sparse), beyond=bool(beyond), planes=self.planes
        )
