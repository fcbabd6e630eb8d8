"""Image formation by waves: a thin specimen under light, or an electron beam, that falls obliquely.

One point of the source at sine s sends the plane wave exp(2πi f0·x), f0 = s n/λ. Behind a thin
specimen of transmission t(x) the objective passes the disc |f| ≤ f_max and delays each frequency by
some turns of phase. The camera sees the square:

    I(x) = | F⁻¹[ T(f) P(f + f0) exp(2πi turns(f + f0)) ] |²

The carrier itself has modulus 1 and is left out. For light over a defocus z the turns are z kz,
with kz = √((n/λ)² - f²) exactly; for an electron lens they are χ/2π. Either way the picture moves
by z·tanθ along the tilt. Points of the source do not interfere, so a source of some size is their
mean (Abbe's sum; H. H. Hopkins, Proc. R. Soc. A 217, 1953, doi:10.1098/rspa.1953.0071): each moves
the picture by its own, which is the blur of a source of some size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Image = NDArray[np.float32]
Field = NDArray[np.complex64]
Real = NDArray[np.float64]
Tilt = tuple[float, float]
"""The sines of an illumination's angle towards x and y, in the medium of the specimen."""

THREADS = 2


class WaveLens(Protocol):
    """What passes and delays waves; frequencies are in cycles per micrometre."""

    @property
    def wave_number(self) -> float:
        """Return that of the waves in the medium: a tilt of sine s is s times this frequency."""
        ...

    @property
    def cutoff(self) -> float:
        """Return the highest frequency that the aperture passes."""
        ...

    def turns(self, fx: Real, fy: Real, *, defocus_um: float) -> Real:
        """Return the delay at frequencies, in turns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LightLens:
    """An objective without aberrations; `wavelength_um` is that in vacuum."""

    na: float
    wavelength_um: float
    refractive_index: float = 1.0

    @property
    def wave_number(self) -> float:
        """Return n/λ."""
        return self.refractive_index / self.wavelength_um

    @property
    def cutoff(self) -> float:
        """Return NA/λ."""
        return self.na / self.wavelength_um

    def turns(self, fx: Real, fy: Real, *, defocus_um: float) -> Real:
        """Return z (kz(f) - kz(0)); waves that do not travel have no part in it."""
        axial = np.sqrt(np.maximum(self.wave_number**2 - fx**2 - fy**2, 0))
        return np.asarray(defocus_um * (axial - self.wave_number))


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectronLens:
    """The objective of a transmission electron microscope, with its aberrations.

    `aperture_rad` is the half angle that its aperture passes, `spherical_um` Cs, and
    `astigmatism_um` by how much defocus differs along `astigmatism_rad` and, the other way, across
    it. A positive defocus is overfocus here, the sense in which a stage moves away from the lens:
    minus the Δf of the literature.
    """

    wavelength_um: float
    aperture_rad: float
    spherical_um: float = 0.0
    astigmatism_um: float = 0.0
    astigmatism_rad: float = 0.0

    @property
    def wave_number(self) -> float:
        """Return 1/λ."""
        return 1 / self.wavelength_um

    @property
    def cutoff(self) -> float:
        """Return the aperture's angle over λ."""
        return self.aperture_rad / self.wavelength_um

    def turns(self, fx: Real, fy: Real, *, defocus_um: float) -> Real:
        """Return χ/2π, χ = πλf²(Δf - ½λ²f²Cs) (Reimer & Kohl, Transmission Electron Microscopy,
        2008, doi:10.1007/978-0-387-40093-8, section 6.2).
        """
        squared = fx**2 + fy**2
        # A cos 2(φ - φ0) f², without the angle itself.
        cosine, sine = math.cos(2 * self.astigmatism_rad), math.sin(2 * self.astigmatism_rad)
        along = (fx**2 - fy**2) * cosine + 2 * fx * fy * sine
        spherical = self.wavelength_um**2 * squared**2 * self.spherical_um / 2
        under = -defocus_um * squared + self.astigmatism_um * along
        return np.asarray(self.wavelength_um / 2 * (under - spherical))


def source_points(tilt: Tilt, *, radius: float) -> tuple[Tilt, ...]:
    """Return the tilts that stand for a round source of `radius` (a sine): its middle alone where
    it has no size, else seven of equal weight with the mean square radius of the disc.
    """
    if radius == 0:
        return (tilt,)
    # A disc has r²/2: six points on a ring and one in the middle have it at this radius.
    ring = radius * math.sqrt(7 / 12)
    x, y = tilt
    turns = [2 * math.pi * at / 6 for at in range(6)]
    return (tilt, *((x + ring * math.cos(t), y + ring * math.sin(t)) for t in turns))


def intensity(
    transmission: Field,
    lens: WaveLens,
    *,
    pixel_um: float,
    defocus_um: float,
    tilts: Sequence[Tilt],
) -> Image:
    """Return the mean intensity over the tilts, (y, x) float32; a clear slide under tilts that the
    lens passes is 1.

    `transmission` is the specimen's, complex (y, x); it repeats beyond its rim, so that a border of
    `reach_um` is to be cut off. The light is summed over the area of each pixel. Pixels must hold
    the aperture and the tilt together, `finest_um`, or frequencies are folded.
    """
    (seen,) = intensities(
        transmission, lens, pixel_um=pixel_um, defoci_um=(defocus_um,), tilts=tilts
    )
    return seen


def intensities(
    transmission: Field,
    lens: WaveLens,
    *,
    pixel_um: float,
    defoci_um: Sequence[float],
    tilts: Sequence[Tilt],
) -> Iterator[Image]:
    """Yield the `intensity` at every defocus; the specimen is transformed once for all of them."""
    height, width = transmission.shape
    spectrum = scipy.fft.fft2(transmission, workers=THREADS)
    fy, fx = scipy.fft.fftfreq(height, pixel_um), scipy.fft.fftfreq(width, pixel_um)
    pupils = [
        _Pupil.of(fx + x * lens.wave_number, fy + y * lens.wave_number, lens) for x, y in tilts
    ]
    for defocus_um in defoci_um:
        total = np.zeros(transmission.shape, np.float32)
        for pupil in pupils:
            passed = pupil.passed(spectrum, lens, defocus_um)
            field = scipy.fft.ifft2(passed, workers=THREADS, overwrite_x=True)
            total += field.real**2 + field.imag**2
        yield _over_pixels(total / np.float32(len(tilts)), fx * pixel_um, fy * pixel_um)


def finest_um(lens: WaveLens, tilts: Sequence[Tilt]) -> float:
    """Return the pixel that the specimen must be sampled at, at least."""
    steepest = max(math.hypot(*tilt) for tilt in tilts)
    return 1 / (2 * (lens.cutoff + steepest * lens.wave_number))


def reach_um(lens: WaveLens, *, defocus_um: float, tilts: Sequence[Tilt]) -> float:
    """Return how far from a point of the specimen its waves arrive, but for the wings of rings: the
    steepest that the aperture passes, by ray optics, and the tilt itself.
    """
    edge = lens.cutoff * np.exp(2j * np.pi * np.arange(16) / 16)
    rim = [*zip(edge.real, edge.imag, strict=True)]
    rim += [(x * lens.wave_number, y * lens.wave_number) for x, y in tilts]
    rays = np.array(rim)
    step = 1e-4 * lens.cutoff
    slopes = [
        lens.turns(*(rays + move).T, defocus_um=defocus_um)
        - lens.turns(*(rays - move).T, defocus_um=defocus_um)
        for move in ((step, 0.0), (0.0, step))
    ]
    furthest = float(np.hypot(*slopes).max()) / (2 * step)
    return 2 * furthest + 4 / lens.cutoff


class _Pupil(NamedTuple):
    """Where the frequencies that a lens passes lie in a spectrum, and which they are there.

    Most of the plane is dark: phases are worked out where there is light only.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    fx: Real
    fy: Real

    @classmethod
    def of(cls, fx: Real, fy: Real, lens: WaveLens) -> _Pupil:
        """Return that of a spectrum whose columns and rows have these frequencies."""
        rows, columns = np.nonzero(fx[None, :] ** 2 + fy[:, None] ** 2 <= lens.cutoff**2)
        return cls(rows, columns, fx[columns], fy[rows])

    def passed(self, spectrum: Field, lens: WaveLens, defocus_um: float) -> Field:
        """Return what of a spectrum comes through the lens."""
        turns = lens.turns(self.fx, self.fy, defocus_um=defocus_um)
        # In double: of hundreds of turns single precision would lose a thousandth.
        angle = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
        passed = np.zeros_like(spectrum)
        at = self.rows, self.columns
        passed[at] = spectrum[at] * (np.cos(angle) + 1j * np.sin(angle))
        return passed


def _over_pixels(light: Image, fx: Real, fy: Real) -> Image:
    """Return the light summed over each pixel's square instead of at its middle; frequencies are in
    cycles a pixel.
    """
    half = scipy.fft.rfft2(light, workers=THREADS)
    half *= np.sinc(fy).astype(np.float32)[:, None]
    half *= np.sinc(fx[: half.shape[1]]).astype(np.float32)
    seen = scipy.fft.irfft2(half, s=light.shape, workers=THREADS)
    return np.maximum(np.asarray(seen, np.float32), 0)
