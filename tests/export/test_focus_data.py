"""Fields of known defocus: the same every time, moved by it as light is, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from export.config.optics import OpticsRanges
from export.datasets.defocus.frames import KnownFrame, known_frames
from export.datasets.defocus.specimens import KINDS, draw_specimen
from export.datasets.defocus.stack import Scenery
from export.datasets.pairs.made import MadeSource
from export.datasets.pairs.source import Patch
from export.tasks.focus.config import FocusConfig, read_focus_config
from export.tasks.focus.data import read_fields
from export.tasks.focus.judge import measure, side
from export.tasks.focus.samples import TRUTH, FieldSamples
from export.tasks.focus.sigma import UnpackedRegressor, sigma_scale
from runtime.errors import ConfigRefused
from runtime.preprocess.spectrum import spectrum_shape
from runtime.tasks.focus.crops import content
from runtime.tasks.focus.regressor import FrameDefocus
from runtime.tile import Pixels
from tests.export import tiny_focus

pytestmark = pytest.mark.export
OPTICS = OpticsRanges(
    na=(0.3, 0.3),
    wavelength_um=(0.53, 0.53),
    pixel_size_um=(0.5, 0.5),
    sine=(0.2, 0.2),
    range_um=30,
)


@pytest.fixture
def config(tmp_path: Path) -> FocusConfig:
    (tmp_path / "tiny.toml").write_text(tiny_focus.CONFIG)
    return read_focus_config(tmp_path / "tiny.toml")


def bytes_of(fields: FieldSamples, index: int, rng: np.random.Generator | None = None) -> bytes:
    sample = fields.read(index, rng)
    return b"".join(one.tobytes() for one in (*sample.inputs.values(), sample.targets[TRUTH]))


def test_a_field_as_it_is_depends_on_the_seed_and_its_number_alone(config: FocusConfig) -> None:
    split, again = (read_fields(config, None, seed=seed) for seed in (0, 0))
    looks = {bytes_of(split.train, index) for index in range(3)}
    assert len(looks) == 3
    assert {bytes_of(again.train, index) for index in (2, 0, 1)} == looks
    other = read_fields(config, None, seed=5)
    assert bytes_of(other.train, 0) not in looks
    # Seeds are compared on the same fields.
    assert bytes_of(other.validation, 1) == bytes_of(split.validation, 1)


def test_in_an_epoch_a_field_depends_on_its_generator_alone(config: FocusConfig) -> None:
    train = read_fields(config, None, seed=0).train
    one, same, other = (
        bytes_of(train, index, np.random.default_rng(number))
        for index, number in ((3, 7), (5, 7), (3, 8))
    )
    assert one == same != other


def test_a_sample_is_every_plane_as_the_device_will_see_it(config: FocusConfig) -> None:
    train = read_fields(config, None, seed=0).train
    sample, stack = train.read(1, None), train.draw(1, None)
    assert {name: one.shape for name, one in sample.inputs.items()} == {
        "image": (4, 1, 64, 64),
        "spectrum": (4, 1, *spectrum_shape(64)),
    }
    assert np.array_equal(sample.targets[TRUTH], stack.z_um)
    assert np.abs(stack.z_um).max() <= 12
    for name, one in train.inputs(stack, 2).items():
        assert np.array_equal(one[0], sample.inputs[name][2])


class Blobs:
    """A specimen of soft blobs, coarse enough to move as a whole."""

    def patch(self, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
        grain = rng.normal(size=shape).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(grain, (0, 0), 12), np.float32)

    def two_patches(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Patch, Patch]:
        return self.patch(rng, shape), self.patch(rng, shape)


def test_what_lies_above_focus_is_moved_towards_x_by_z_tan_theta() -> None:
    """By which the sign is what a stage above focus makes of it."""
    scenery = Scenery(source=Blobs(), optics=OPTICS)
    stack = scenery.draw(np.random.default_rng(4), (256, 256), kind="amplitude", planes=5)
    soft = [cv2.GaussianBlur(one.astype(np.float32), (0, 0), 3) for one in stack.frames]
    assert np.ptp(stack.z_um) > 20
    for plane in range(1, 5):
        alike = cv2.matchTemplate(soft[plane], soft[0][40:-40, 40:-40], cv2.TM_CCOEFF_NORMED)
        y, x = np.unravel_index(int(alike.argmax()), alike.shape)
        moved_um = float(stack.z_um[plane] - stack.z_um[0]) * 0.2 / math.sqrt(1 - 0.2**2)
        assert x - 40 == pytest.approx(moved_um / 0.5, abs=1.0)
        assert y - 40 == pytest.approx(0, abs=1.0)


def test_kinds_are_what_they_are_called_and_sparse_fields_are_mostly_clear() -> None:
    made = {
        kind: draw_specimen(MadeSource(), kind, np.random.default_rng(2), (128, 128))
        for kind in KINDS
    }
    assert np.abs(made["amplitude"].imag).max() == 0
    assert np.allclose(np.abs(made["weak phase"]), 1, atol=1e-6)
    assert 0.02 < np.ptp(np.angle(made["weak phase"])) <= 0.4
    assert np.abs(made["mixed"]).min() < 0.95
    assert np.ptp(np.angle(made["mixed"])) > 0.1
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sparse = draw_specimen(MadeSource(), "amplitude", rng, (400, 400), sparse=True)
        assert 0.001 < np.mean(np.abs(sparse) < 0.99) < 0.08


def test_frames_of_every_kind_come_dense_and_sparse_and_hold_something() -> None:
    scenery = Scenery(source=MadeSource(), optics=OPTICS)
    frames = list(known_frames(scenery, 1, seed=3, shape=(256, 384)))
    assert {(one.kind, one.sparse) for one in frames} == {
        (kind, sparse) for kind in KINDS for sparse in (False, True)
    }
    assert all(content(one.pixels) > 0 for one in frames if not one.sparse)
    again = list(known_frames(scenery, 1, seed=3, shape=(256, 384)))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, again, strict=True))


def test_what_is_beyond_the_range_is_so_on_both_sides_and_only_where_it_is_asked_for() -> None:
    scenery = Scenery(source=MadeSource(), optics=OPTICS)
    far = list(known_frames(scenery, 2, seed=3, beyond=True, shape=(64, 64)))
    range_um = OPTICS.range_um
    assert all(one.beyond and range_um <= abs(one.z_um) <= 2 * range_um for one in far)
    assert {np.sign(one.z_um) for one in far} == {-1, 1}
    near = known_frames(scenery, 2, seed=3, shape=(64, 64))
    assert all(not one.beyond and abs(one.z_um) <= range_um for one in near)


def test_measures_of_known_answers() -> None:
    true = np.float32([[-10, 10], [2, -20]])
    told = np.float32([[-9, -11], [-1, -20]])
    found = measure(told, true, depth_um=5)
    assert found["gained_um"] == pytest.approx(10.5 - (1 + 21 + 3 + 0) / 4)
    assert found["within_depth"] == 0.75
    # What lies within a depth of field of focus has no side.
    assert found["right_side"] == pytest.approx(2 / 3)
    assert side(told).tolist() == [False, False, False, False]


@dataclass
class Claiming:
    """A network whose error is normal, twice the σ that it claims; every fourth frame it leaves."""

    rng: np.random.Generator
    truths: Iterator[float]
    number: int = 0

    def measure(self, frame: Pixels) -> FrameDefocus:
        self.number += 1
        z_um = next(self.truths) + self.rng.normal(0, 2)
        left = self.number % 4 == 0
        return FrameDefocus(z_um=z_um, sigma_um=math.inf if left else 1.0)


def test_sigma_is_scaled_until_it_covers_what_it_should() -> None:
    rng = np.random.default_rng(0)
    empty = np.zeros((8, 8), np.uint16)
    frames = [
        KnownFrame(pixels=empty, z_um=z_um, kind="mixed", sparse=False)
        for z_um in rng.uniform(-30, 30, 4000)
    ]
    reader = Claiming(rng, iter([one.z_um for one in frames]))
    scale = sigma_scale(cast("UnpackedRegressor", reader), frames)
    assert scale == pytest.approx(2, rel=0.05)
    # Of nothing told nothing follows.
    silent = Claiming(rng, iter([0.0]), number=3)
    assert sigma_scale(cast("UnpackedRegressor", silent), frames[:1]) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"image", "spectrum"', '"image", "image"', "each input once"),
        ('"image", "spectrum"', '"lbp1"', "inputs"),
        ("side_px = 64", "side_px = 65", "side_px"),
        ("sine = [0.195, 0.205]", "sine = [0.25, 0.3]", "is not below the smallest aperture"),
        ("sine = [0.195, 0.205]", "sine = [0.205, 0.195]", "does not rise"),
        ("[0.485, 0.503]", "[0.485, 0.6]", "do not hold the aperture"),
        ("planes = 4", "planes = 4\ntextures = 0.0", "nothing to draw from"),
        ("beyond = 0", "beyond = 1.5", r"data\.beyond"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in tiny_focus.CONFIG
    (tmp_path / "c.toml").write_text(tiny_focus.CONFIG.replace(old, new))
    with pytest.raises(ConfigRefused, match=message):
        read_focus_config(tmp_path / "c.toml")


def test_a_specimen_that_is_learnt_from_cannot_judge(config: FocusConfig, tmp_path: Path) -> None:
    data = config.data.model_copy(update={"train": (Path("a"),), "validation": (Path("a"),)})
    changed = config.model_copy(update={"data": data})
    with pytest.raises(ConfigRefused, match="a specimen that is learnt from cannot judge"):
        read_fields(changed, tmp_path, seed=0)
    with pytest.raises(ConfigRefused, match="model tiny-focus needs the folder of its images"):
        read_fields(changed, None, seed=0)
