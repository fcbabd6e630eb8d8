"""Image formation in brightfield: what an objective sees, blurred by diffraction and defocus.

This is the fast mode, without waves: blur alone, the same above and below focus. Pictures under
light from the side, and of electrons, are made of waves (`side_light.py`).


In focus the point-spread function is a Gaussian of σ = 0.21 λ/NA (B. Zhang, J. Zerubia, J.-C.
Olivo-Marin, "Gaussian approximations of fluorescence microscope point-spread function models",
Applied Optics 46 (2007), doi:10.1364/AO.46.001819). Out of focus it widens by the geometric disc of
radius NA·|dz|, taken as the Gaussian of the same second moment, σ = NA·|dz|/2 (M. Subbarao, G.
Surya, "Depth from defocus: a spatial domain approach", IJCV 13 (1994), doi:10.1007/BF02028349).
Variances add; so does that of the camera pixel's own width, p²/12.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.config.settings import Objective
from runtime.distortion import Distortion
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure, specimen_from_px

Image = NDArray[np.float32]

# A Gaussian is cut where it has fallen to 1 % of its peak.
REACH_SIGMAS = 3.0
# Room for the interpolation kernel around the crop.
MARGIN_PX = 3


def blur_sigma_um(objective: Objective, exposure: TrueExposure) -> float:
    """Return the σ of the whole blur of a frame, micrometres on the specimen."""
    diffraction_um = 0.21 * objective.wavelength_um / objective.na
    defocus_um = objective.na * abs(exposure.defocus_um) / 2
    boxes_um2 = (exposure.pixel_size_um**2 + exposure.smear_um**2) / 12
    return math.sqrt(diffraction_um**2 + defocus_um**2 + boxes_um2)


def transmitted(
    specimen: Specimen,
    objective: Objective,
    exposure: TrueExposure,
    *,
    width_px: int,
    height_px: int,
    distortion: Distortion | None = None,
) -> Image:
    """Return the share of light that reaches each camera pixel, (y, x) float32 in 0..1.

    A pixel p shows what without `distortion` would lie at `distortion.straightened(p)`.

    Sub-pixel true: a pyramid level fine enough for the blur is blurred by a Gaussian that sits
    where the first camera pixel truly lies between its pixels, then sampled by bicubic
    interpolation. OpenCV interpolates on 1/32 of a pixel: so every frame samples the same phases,
    and shifts between frames are as exact as the kernel.
    """
    sigma_um = blur_sigma_um(objective, exposure)
    level = level_of(specimen, sigma_um)
    level_px_um = specimen.pixel_um * 2**level
    to_level = camera_to_level(specimen, exposure, level_px_um, width_px, height_px)
    # The level's own pixels have averaged already.
    sigma_px = math.sqrt(max(sigma_um**2 / level_px_um**2 - 1 / 12, 0.04))
    # One more on account of the centre between pixels.
    reach = math.ceil(REACH_SIGMAS * sigma_px) + 1
    scale = exposure.pixel_size_um / level_px_um
    bulge = 0 if distortion is None else math.ceil(scale * distortion.largest_px)
    x0, y0, x1, y1 = window_box(to_level, width_px, height_px, margin=reach + MARGIN_PX + bulge)
    window = specimen.window(level=level, x0=x0, y0=y0, x1=x1, y1=y1)
    first = to_level[:, 2] - (x0, y0)
    whole = np.floor(first)
    along_x, along_y = (_gaussian(reach, sigma_px, centre) for centre in first - whole)
    blurred = cv2.sepFilter2D(window, cv2.CV_32F, along_x, along_y)
    to_level[:, 2] = whole
    seen = _sampled(np.asarray(blurred, np.float32), to_level, (width_px, height_px), distortion)
    # Bicubic interpolation may swing a little below black.
    return np.maximum(seen, 0, dtype=np.float32) * np.float32(1 / 255)


def _sampled(
    level: Image,
    to_level: NDArray[np.float64],
    size_px: tuple[int, int],
    distortion: Distortion | None,
) -> Image:
    """Return what camera pixels show of a level, which the affine (2, 3) takes straight pixels to.

    Where frames are bent, every pixel has a phase of its own, rounded to 1/32: alike in all frames.
    """
    if distortion is None:
        seen = cv2.warpAffine(
            level,
            to_level,
            size_px,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    else:
        at = straight_px(distortion) @ to_level[:, :2].T + to_level[:, 2]
        seen = cv2.remap(
            level,
            at.astype(np.float32),
            np.empty(0, np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return np.asarray(seen, np.float32)


@lru_cache(maxsize=2)
def straight_px(distortion: Distortion) -> NDArray[np.float64]:
    """Return where every pixel of a frame would lie without distortion, (y, x, 2) x, y."""
    height, width = distortion.shape_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    straight = distortion.straightened(np.column_stack([x.ravel(), y.ravel()]))
    return straight.reshape(height, width, 2)


def _gaussian(reach: int, sigma_px: float, centre_px: float) -> Image:
    """Return normalised weights at -reach..reach of a Gaussian around `centre_px`."""
    away = np.arange(-reach, reach + 1) - centre_px
    weights = np.exp(-0.5 * (away / sigma_px) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def level_of(specimen: Specimen, finest_um: float) -> int:
    """Return the coarsest level whose pixels are no larger than this: σ of a blur, for one."""
    affordable = math.floor(math.log2(max(finest_um / specimen.pixel_um, 1.0)))
    return min(affordable, len(specimen.levels) - 1)


def camera_to_level(
    specimen: Specimen, exposure: TrueExposure, level_px_um: float, width_px: int, height_px: int
) -> NDArray[np.float64]:
    """Return the 2x3 affine from camera pixels to a level's pixels, centres at integers.

    A level's pixel i spans specimen [i, i + 1)·p from the picture's edge, hence the half.
    """
    turn = specimen_from_px(
        rotation_rad=exposure.rotation_rad, pixel_size_um=exposure.pixel_size_um
    )
    middle_px = np.array([(width_px - 1) / 2, (height_px - 1) / 2])
    corner_um = np.array(specimen.size_um) / 2
    origin_um = np.array(exposure.centre_um) + corner_um - turn @ middle_px
    return np.column_stack((turn / level_px_um, origin_um / level_px_um - 0.5))


def window_box(
    to_level: NDArray[np.float64], width_px: int, height_px: int, *, margin: int
) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of the window of a level that a frame is seen through, and a margin."""
    corners = np.array([(x, y, 1.0) for x in (0, width_px - 1) for y in (0, height_px - 1)])
    seen = corners @ to_level.T
    low, high = np.floor(seen.min(axis=0)).astype(int), np.ceil(seen.max(axis=0)).astype(int)
    x0, y0 = (low - margin).tolist()
    x1, y1 = (high + margin + 1).tolist()
    return x0, y0, x1, y1
