"""The tiles that `benchmarks.guard` shows a model: of sections it knows, spoilt, and foreign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from export.config.data import SectionsData
from export.config.training import read_config
from export.datasets.cameras import Light, light_of
from export.datasets.section import Section, read_section
from runtime.instrument.camera.files import read_image

CONFIG = Path(__file__).parents[1] / "export" / "configs" / "mussel_tissue.toml"
FIELD_PX = (448, 512)
MOST_OF_A_FILE = 6
# Of CREMI the guard was shown others, of C1.
FOREIGN = {
    "ssTEM, CREMI": "cremi_tiles/C2/*.png",
    "ssTEM, ISBI 2012": "isbi2012_NC/image/*.png",
    "ssTEM, Drosophila VNC": "drosophila_vnc_NC/raw/*",
    "steel, UHCS": "uhcs_sem/**/*.png",
    "adipose, brightfield": "focus_adipose/**/*.*",
    "phase contrast, MIST": "mist_phase/*_p??.tif",
}
DRIFT, LINES = 0.1, 0.05
# Where the share of tissue is this near the limit, the label is a matter of the outline's taste.
ABOUT_THE_LIMIT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """`light` is (y, x), 1 where it is white; `tissue` (y, x) float32, 1 where there is some, and
    `least` the share of it that makes the tile tissue; None of what is foreign.
    """

    light: Light
    tissue: Light | None = None
    least: float = 0.0

    @property
    def target(self) -> int | None:
        """The class that is right: 1 for tissue."""
        return None if self.tissue is None else int(self.tissue.mean() >= self.least)

    @property
    def about_the_limit(self) -> bool:
        """Whether its share of tissue is hardly more or less than makes it tissue."""
        if self.tissue is None:
            return False
        return abs(float(self.tissue.mean()) - self.least) < ABOUT_THE_LIMIT


Spoil = Callable[[Tile, np.random.Generator], Tile]
Change = Callable[[Light, np.random.Generator], NDArray[np.floating]]


def shown(change: Change) -> Spoil:
    """Return what changes the light of a tile and nothing of what it shows."""

    def spoil(tile: Tile, rng: np.random.Generator) -> Tile:
        return replace(tile, light=np.asarray(change(tile.light, rng), np.float32))

    return spoil


def sections() -> dict[str, Section]:
    """Return what the shipped configuration trained on, what it validated on, and a section of
    another animal of the same kind, under another contrast.
    """
    data = read_config(CONFIG).data
    assert isinstance(data, SectionsData)
    whole, other = (
        read_section(
            CONFIG.parent / one.image,
            CONFIG.parent / one.labels,
            image_pixel_size_um=one.image_pixel_size_um,
            pixel_size_um=one.pixel_size_um,
        )
        for one in (data.section, data.test_section)
    )
    return {
        "training section": whole.rows(*data.section.train_rows),
        "unseen half of it": whole.rows(*data.section.validation_rows),
        "unseen section": other,
    }


def crops(section: Section, count: int) -> list[Tile]:
    """Return views of a section at random places, unturned, with their classes."""
    rng = np.random.default_rng(7)
    height, width = section.image.shape
    found: list[Tile] = []
    for _ in range(count):
        y, x = rng.integers(0, height - FIELD_PX[0] + 1), rng.integers(0, width - FIELD_PX[1] + 1)
        at = slice(y, y + FIELD_PX[0]), slice(x, x + FIELD_PX[1])
        found.append(
            Tile(
                light=light_of(section.image[at]),
                tissue=section.tissue[at].astype(np.float32),
                least=section.min_area_fraction,
            )
        )
    return found


def foreign_tiles(data: Path, pattern: str, *, most: int) -> list[Tile]:
    """Return views of images that the model knows nothing of, none where there are none.

    Images smaller than a view are continued as in a mirror.
    """
    files = sorted(path for path in data.glob(pattern) if path.is_file() and path.suffix != ".csv")
    each = max(1, min(MOST_OF_A_FILE, most // max(len(files), 1)))
    rng = np.random.default_rng(11)
    found: list[Tile] = []
    for file in files[:: max(1, len(files) * each // most)]:
        light = light_of(read_image(file))
        short = [max(0, want - side) for want, side in zip(FIELD_PX, light.shape, strict=True)]
        whole = cv2.copyMakeBorder(light, 0, short[0], 0, short[1], cv2.BORDER_REFLECT_101)
        for _ in range(each):
            y, x = (
                rng.integers(0, side - want + 1)
                for want, side in zip(FIELD_PX, whole.shape, strict=True)
            )
            found.append(Tile(light=whole[y : y + FIELD_PX[0], x : x + FIELD_PX[1]]))
    return found


@shown
def inverted(light: Light, _: np.random.Generator) -> Light:
    """Return dark for light, as secondary against backscattered electrons."""
    low, high = np.percentile(light, [0.5, 99.5])
    return np.asarray(np.clip(low + high - light, 0, 1))


def bent(gamma: float) -> Spoil:
    """Return what bends the grey scale."""

    @shown
    def bend(light: Light, _: np.random.Generator) -> Light:
        high = np.percentile(light, 99.5)
        return np.asarray(np.clip((light / high) ** gamma * high, 0, 1), np.float32)

    return bend


def blurred(sigma_px: float) -> Spoil:
    """Return what puts a picture out of focus."""
    return shown(lambda light, _: np.asarray(cv2.GaussianBlur(light, (0, 0), sigma_px)))


def clipped(*, above: float = 100, below: float = 0) -> Spoil:
    """Return what cuts off the grey scale above and below two percentiles."""

    @shown
    def clip(light: Light, _: np.random.Generator) -> Light:
        low, high = (
            np.percentile(light, [below, above]) if below else (0, np.percentile(light, above))
        )
        # What is cut off bright is white to any camera: beyond full scale.
        white = 3.0 if above < 100 else 1.0
        cut = (light - low) / max(high - low, 1e-6) if above < 100 else light - low
        return np.asarray(np.clip(cut, 0, None) * white, np.float32)

    return clip


@shown
def lined(light: Light, rng: np.random.Generator) -> Light:
    """Return rows that are brighter and darker by chance, as charging and mains make them."""
    gains = 1 + LINES * rng.standard_normal((light.shape[0], 1))
    return np.asarray(np.clip(light * gains, 0, 1), np.float32)


@shown
def drifting_light(light: Light, rng: np.random.Generator) -> Light:
    """Return light that goes from 10 % below to 10 % above over the rows, or the other way."""
    ramp = np.linspace(-DRIFT, DRIFT, light.shape[0])[:, None] * rng.choice([-1, 1])
    return np.asarray(np.clip(light * (1 + ramp), 0, 1), np.float32)


def drifting_rows(tile: Tile, rng: np.random.Generator) -> Tile:
    """Return rows that move sideways by 10 % of the height from the first to the last, and the
    tissue with them.
    """
    shear = np.array([[1, DRIFT * rng.choice([-1, 1]), 0], [0, 1, 0]], np.float32)
    size = tile.light.shape[1], tile.light.shape[0]

    def moved(plane: Light) -> Light:
        return np.asarray(cv2.warpAffine(plane, shear, size, borderMode=cv2.BORDER_REFLECT_101))

    tissue = None if tile.tissue is None else moved(tile.tissue)
    return replace(tile, light=moved(tile.light), tissue=tissue)


SPOILT: dict[str, Spoil] = {
    "inverted": inverted,
    "gamma 0.5": bent(0.5),
    "gamma 2": bent(2),
    "gamma 3": bent(3),
    "blur, sigma 2 px": blurred(2),
    "blur, sigma 4 px": blurred(4),
    "brightest 10 % clipped": clipped(above=90),
    "brightest 30 % clipped": clipped(above=70),
    "darkest 10 % clipped": clipped(below=10),
    "darkest 30 % clipped": clipped(below=30),
    "line noise, 5 %": lined,
    "light drifts ±10 % over the rows": drifting_light,
    "rows drift ±10 % sideways": drifting_rows,
}
