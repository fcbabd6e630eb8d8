"""How large a network that tells defocus is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runtime.config.strict import Strict

Width = Annotated[int, Field(ge=4, le=1024)]


class DefocusSizes(Strict):
    """Channels of the convolutions, the first at a quarter of the size and then at half of that
    before, each; widths of the fully connected layers that read the spectrum; width of the head.
    """

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=5)] = (32, 48, 96, 128)
    dense: Annotated[tuple[Width, ...], Field(min_length=1, max_length=4)] = (128, 128)
    head: Width = 64
