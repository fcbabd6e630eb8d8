"""How large a LoFTR is: the published one and the small one are one class."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runtime.config.strict import Strict

Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=4, multiple_of=4)]
CELL_PX, FINE_PX = 8, 2


class LoftrSizes(Strict):
    """`stem` channels after the first convolution, `widths` at 1/2, 1/4 and 1/8 with `blocks`
    residual blocks each; `pairs` of self and cross attention of `heads` heads.

    `fine` says how the place within a cell is found. "window", as published: from features at 1/2,
    by `fine_pairs` of attention in windows of `window` features. "offset": by three dense layers on
    the two matched cells, as XFeat does (Potje et al. 2024, doi:10.1109/CVPR52733.2024.00259); a
    device then needs neither features at 1/2 nor a second graph. "none": the cell is the answer.

    `similarity` "scaled" divides features by the root of their number, and their products by 0.1,
    as published; "cosine" compares their directions, with a learned factor. `old_positions` is the
    position code with which the weights of the first release were trained, its frequencies
    exp(-k) by a slip in the order of a division.
    """

    stem: Width = 128
    widths: tuple[Width, Width, Width] = (128, 196, 256)
    blocks: tuple[Count, Count, Count] = (2, 2, 2)
    heads: Count = 8
    pairs: Count = 4
    fine: Literal["window", "offset", "none"] = "window"
    fine_width: Width = 128
    fine_pairs: Count = 1
    window: Annotated[int, Field(ge=3, le=9)] = 5
    similarity: Literal["scaled", "cosine"] = "scaled"
    old_positions: bool = False

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        widths = (self.width, self.fine_width) if self.fine == "window" else (self.width,)
        for width in widths:
            if width % self.heads:
                raise ValueError(f"{self.heads} heads cannot share a width of {width}")
        return self

    @property
    def width(self) -> int:
        """Return how many channels a cell has."""
        return self.widths[-1]


PUBLISHED = LoftrSizes()
