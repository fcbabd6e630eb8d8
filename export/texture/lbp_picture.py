"""What a network sees of texture, as a picture: a tile beside its LBP maps in colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.preprocess.lbp import full_codes
from runtime.tile import Pixels

RADII_PX = (1, 2, 3)
GAP_PX, CAPTION_PX, WHITE, INK = 8, 22, 255, (40, 40, 40)


def write_lbp_picture(
    image: Path, out: Path, lut: NDArray[np.float32], *, top_px: int, left_px: int, side_px: int
) -> None:
    """Write a PNG of a square of the image and of its codes at every radius, captions above.

    Raises InputRefused when the image cannot be read or does not reach as far as the square.
    """
    whole = _read(image)
    if top_px + side_px > whole.shape[0] or left_px + side_px > whole.shape[1]:
        raise InputRefused(
            f"{image} does not reach as far as the square",
            value=f"rows to {top_px + side_px}, columns to {left_px + side_px}",
            limit=f"{whole.shape[0]} rows, {whole.shape[1]} columns",
            remedy="choose a smaller --side-px, --top-px or --left-px",
        )
    square = np.s_[top_px : top_px + side_px, left_px : left_px + side_px]
    panels = {"intensity": _grey(whole[square])}
    for radius_px, codes in zip(RADII_PX, full_codes(whole, radii_px=RADII_PX), strict=True):
        panels[f"LBP, r = {radius_px} px"] = code_colours(lut)[codes[square]]
    if not cv2.imwrite(str(out), _side_by_side(panels), [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise InputRefused(f"{out} cannot be written", remedy="name a .png in a folder that exists")


def _read(image: Path) -> Pixels:
    pixels: Any = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise InputRefused(f"{image} is not a grey image of 8 or 16 bits", remedy="convert it")
    return cast("Pixels", pixels)


def code_colours(lut: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the (256, 3) colour of every code, blue first; like codes have like colours."""
    share = (lut - lut.min(axis=0)) / np.ptp(lut, axis=0)
    return np.asarray(np.rint(share[:, ::-1] * 255), dtype=np.uint8)


def _grey(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the tile over its own range, as three equal channels."""
    low, high = float(pixels.min()), float(pixels.max())
    share = (pixels - low) / max(high - low, 1.0)
    return np.repeat(np.rint(share * 255).astype(np.uint8)[..., None], 3, axis=-1)


def _side_by_side(panels: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    framed = [_captioned(name, panel) for name, panel in panels.items()]
    return np.concatenate(framed, axis=1)[:, :-GAP_PX]


def _captioned(name: str, panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    edges = ((CAPTION_PX, 0), (0, GAP_PX), (0, 0))
    framed = np.ascontiguousarray(np.pad(panel, edges, constant_values=WHITE))
    cv2.putText(framed, name, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return framed
