"""A network for defocus taught by a real stack, and asked about planes that it never saw.

    python benchmarks/focus_stack.py FOLDER --step-um -0.05 --focus 51

Of a recorded stack, numbered in its files' names, every second plane is learned from, in the upper
part of its field, and the others are told in the lower part: in what order they lie, and how far
from focus, signed. It is a weak test, of one specimen on one instrument, all of whose planes share
their detail and their shading: it says that the picture holds the side of focus, and no more. Peer
in the same run: Brenner's gradient, from which one frame tells no side at all.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from export.config.optics import OpticsRanges
from export.config.recipe import Recipe
from export.networks.defocus.sizes import DefocusSizes
from export.tasks.focus.config import FieldData, FocusConfig
from export.tasks.focus.convert import to_focus_parts
from export.tasks.focus.samples import TRUTH
from export.tasks.focus.sigma import UnpackedRegressor
from export.tasks.focus.task import FocusTask
from export.training.engine import TrainingJob, train
from export.training.task import Sample
from runtime.focus.sharpness import BRENNER
from runtime.instrument.camera.files import read_image
from runtime.tasks.focus.crops import content
from runtime.tasks.focus.record import Defocusing, crop_inputs

SIDE_PX, CROPS = 128, 512
# Of so many places that which holds most is learned from: those that hold something are asked, too.
TRIES = 4
# Rows that neither side sees lie between what is learned from and what is asked.
UPPER, LOWER = slice(None, 256), slice(272, None)


@dataclass(frozen=True)
class Planes:
    """Pictures (planes, y, x), and how far above focus each is, micrometres."""

    pictures: NDArray[np.uint16]
    z_um: NDArray[np.float32]

    def part(self, rows: slice, planes: slice) -> Planes:
        """Return some rows of some planes."""
        return Planes(self.pictures[planes, rows], self.z_um[planes])


@dataclass(frozen=True)
class Crops:
    """So many crops at chance places, each through all the planes."""

    of: Planes
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Return the inputs of one place, (planes, 1, y, x), mirrored in every second one."""
        rng = np.random.default_rng(index) if rng is None else rng
        cut = max(
            (self._cut(rng) for _ in range(TRIES)), key=lambda one: content(one[len(one) // 2])
        )
        cut = cut[:, ::-1] if rng.random() < 0.5 else cut
        seen = [crop_inputs(np.ascontiguousarray(one), ("image",))["image"] for one in cut]
        return Sample(inputs={"image": np.concatenate(seen)}, targets={TRUTH: self.of.z_um})

    def _cut(self, rng: np.random.Generator) -> NDArray[np.uint16]:
        _, height, width = self.of.pictures.shape
        top, left = (int(rng.integers(side - SIDE_PX + 1)) for side in (height, width))
        return self.of.pictures[:, top : top + SIDE_PX, left : left + SIDE_PX]


def read_planes(folder: Path, *, step_um: float, focus: float) -> Planes:
    """Return a stack by the last number of its files' names, of which `focus` is in focus."""
    numbers = {int(re.findall(r"\d+", one.stem)[-1]): one for one in folder.glob("*.png")}
    pictures = np.stack([read_image(numbers[one]) for one in sorted(numbers)])
    z_um = (np.array(sorted(numbers)) - focus) * step_um
    return Planes(pictures, z_um.astype(np.float32))


def config_of(planes: Planes, epochs: int) -> FocusConfig:
    """Return a small network on the image; of the optics the range alone has a part in it."""
    range_um = 1.25 * float(np.abs(planes.z_um).max())
    return FocusConfig(
        task="focus",
        name="stack",
        version="1.0.0",
        licence="that of the stack",
        inputs=("image",),
        side_px=SIDE_PX,
        optics=OpticsRanges(
            na=(0.9, 1.0), wavelength_um=(0.5, 0.6), pixel_size_um=(0.1, 0.2), sine=(0.1, 0.2),
            range_um=range_um,
        ),
        data=FieldData(),
        network=DefocusSizes(widths=(16, 24, 32, 48), head=32),
        recipe=Recipe(
            epochs=epochs, batch=8, optimiser="adamw", schedule="one-cycle", learning_rate=2e-3,
            weight_decay=1e-3, threads=1,
        ),
    )  # fmt: skip


def told(planes: Planes, *, seed: int, epochs: int, out: Path) -> NDArray[np.float64]:
    """Return what a network of one seed says of the planes that it never saw."""
    learned = planes.part(UPPER, slice(None, None, 2))
    config = config_of(planes, epochs)
    task = FocusTask(
        config=config, train=Crops(learned, CROPS), validation=Crops(learned, 16), data="stack"
    )
    network = train(TrainingJob(task=task, recipe=config.recipe, seed=seed, out=out))
    optics = config.optics
    record = Defocusing(
        range_um=optics.range_um, na=optics.na, wavelength_um=optics.wavelength_um,
        sine=optics.sine, sigma_scale=1.0,
    )  # fmt: skip
    reader = UnpackedRegressor.of(
        to_focus_parts(network, config).joined(), record, side_px=SIDE_PX, parts=config.inputs
    )
    asked = planes.part(LOWER, slice(1, None, 2))
    return np.array([reader.measure(one).z_um for one in asked.pictures])


def main() -> None:
    """Teach, ask, and say how far off it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step-um", type=float, required=True, help="from a number to the next")
    parser.add_argument("--focus", type=float, required=True, help="the number that is in focus")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=24)
    asked = parser.parse_args()
    planes = read_planes(asked.folder, step_um=asked.step_um, focus=asked.focus)
    unseen = planes.part(LOWER, slice(1, None, 2))
    print("true z, µm:", np.round(unseen.z_um, 2))
    sharp = [BRENNER(one) for one in unseen.pictures]
    print(f"Brenner's gradient: in order by {spearmanr(sharp, unseen.z_um).statistic:.2f}")
    for seed in range(asked.seeds):
        with TemporaryDirectory() as out:
            said = told(planes, seed=seed, epochs=asked.epochs, out=Path(out))
        off = np.abs(said - unseen.z_um)
        far = np.abs(unseen.z_um) > 0.1
        wrong = np.sign(said[far]) != np.sign(unseen.z_um[far])
        print(f"seed {seed}: in order by {spearmanr(said, unseen.z_um).statistic:.2f}, error mean "
              f"{off.mean():.3f}, largest {off.max():.3f} µm, wrong side {wrong.sum()} of "
              f"{far.sum()}; said {np.round(said, 2)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
