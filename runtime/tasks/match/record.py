"""What a bundle's manifest says of a model that matches strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from runtime.errors import InputRefused
from runtime.inference.task import ModelInput, ReadArray, TaskRecord
from runtime.preprocess.inputs import Inputs
from runtime.preprocess.strips import flattened
from runtime.tile import Pixels

# A cell, of which the network says where it lies, is so many pixels wide.
CELL_PX = 8
# The network's input, (2, 1, y, x), and what it says of every cell of the first strip, (1, cells):
# the cell of the second that it matches, how surely, and how far its place lies off that cell's,
# (1, cells, 2) as (y, x) px; and of every cell of the second strip the first two.
STRIPS = "strips"
PARTNER, CONFIDENCE, OFFSET = "partner", "confidence", "offset_px"
BACK_PARTNER, BACK_CONFIDENCE = "back_partner", "back_confidence"

Side = Annotated[int, Field(ge=4 * CELL_PX, le=2048, multiple_of=CELL_PX)]


class StripInput(ModelInput):
    """Two strips of one size, flattened: see `runtime.preprocess.strips`."""

    height_px: Side
    width_px: Side

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return (height, width)."""
        return self.height_px, self.width_px

    def inputs(self, pictures: Sequence[Pixels], array: ReadArray) -> Inputs:  # noqa: ARG002
        """Return the input for two strips; raises InputRefused for others than of its size."""
        for strip in pictures:
            if strip.shape != self.shape_px:
                raise InputRefused(
                    "a strip is not as large as the model's",
                    value="{} x {} px".format(*strip.shape[::-1]),
                    limit=f"{self.width_px} x {self.height_px} px",
                    remedy="cut strips of that size",
                )
        return {STRIPS: np.stack([flattened(strip) for strip in pictures])[:, None]}


class Matching(TaskRecord):
    """Matches surer than `least_confidence` are told.

    Golden examples prove the confidences: which cell is the likeliest may change with the last bit.
    """

    OUTPUTS: ClassVar[Mapping[str, float]] = {CONFIDENCE: 0.5, BACK_CONFIDENCE: 0.5}
    MEASURE: ClassVar[str] = "matched"
    # Asked for a few seams, in time that would pass unused: twice as long is as good, for half of
    # the memory, which is what ONNX Runtime takes of OpenVINO's.
    ABOUT_AS_FAST: ClassVar[float] = 2.0
    PICTURES: ClassVar[int] = 2
    INPUT: ClassVar[type[ModelInput]] = StripInput

    kind: Literal["match"] = "match"
    least_confidence: Annotated[float, Field(gt=0, lt=1)]

    def answers(self) -> str:
        """Return what it finds."""
        return "where the cells of a strip lie in another"
