"""How much larger than the network expects σ of a whole frame is, by frames of known defocus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from export.datasets.defocus.frames import KnownFrame
from runtime.inference.backends import open_session
from runtime.inference.session import Session
from runtime.tasks.focus.crops import informative
from runtime.tasks.focus.record import Defocusing, Part, crop_inputs
from runtime.tasks.focus.regressor import CROPS, FrameDefocus, told
from runtime.tile import Pixels

# Within σ lie so many of normal errors.
WITHIN_SIGMA = 0.6827


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedRegressor:
    """Tells the defocus of whole frames as the device does, with a model that is not packed."""

    session: Session
    record: Defocusing
    side_px: int
    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls, model: bytes, record: Defocusing, *, side_px: int, parts: tuple[Part, ...]
    ) -> UnpackedRegressor:
        """Return the reader of an ONNX model, in ONNX Runtime on one thread."""
        session = open_session(model, backend="onnxruntime", threads=1)
        return cls(session=session, record=record, side_px=side_px, parts=parts)

    def measure(self, frame: Pixels) -> FrameDefocus:
        """Return what it tells of a frame (y, x)."""
        crops = informative(frame, side_px=self.side_px, most=CROPS)
        said = [self.session.run(crop_inputs(crop, self.parts)) for crop in crops]
        return told(said, self.record)


def sigma_scale(reader: UnpackedRegressor, frames: Iterable[KnownFrame]) -> float:
    """Return what σ is to be multiplied by so that it covers as many errors as it says; frames of
    which nothing is told have no part in it, and where none is left it is 1.
    """
    found = [(one.z_um, reader.measure(one.pixels)) for one in frames]
    ratios = [abs(z - said.z_um) / said.sigma_um for z, said in found if np.isfinite(said.sigma_um)]
    return float(np.quantile(ratios, WITHIN_SIGMA)) if ratios else 1.0
