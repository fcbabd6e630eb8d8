"""A frame looked for among the tiles of its scan: found where it was taken, or not at all."""

import cv2
import numpy as np
import pytest

from runtime.stitch.look.place import KnownTile, NoPlace, Place, TakenTiles, full_size_shift
from tests.night_fakes import specimen

PIXEL_UM = 0.5
SHAPE_PX = (128, 160)
STAGE_SIGMA_UM = 1.5


def taken(world, at_um, rng, noise=8.0):
    """Return a frame whose middle lies at a place of the world, its own middle being (0, 0)."""
    x, y = np.array(world.shape[::-1]) / 2 + np.array(at_um) / PIXEL_UM
    seen = cv2.getRectSubPix(world, SHAPE_PX[::-1], (float(x), float(y)))
    return np.clip(seen + rng.normal(0, noise, SHAPE_PX), 0, 65535).astype(np.uint16)


def scanned(world, rng, noise=8.0, read=None):
    """Return sixteen tiles of a world, each taken a little off where the stage said."""
    tiles, pixels = [], {}
    for row in range(4):
        for column in range(4):
            at_um = (column - 1.5) * 60.0, (row - 1.5) * 48.0
            name = f"r{row}_c{column}"
            tiles.append(KnownTile(tile_id=name, at_um=at_um))
            pixels[name] = taken(world, at_um + rng.normal(0, STAGE_SIGMA_UM, 2), rng, noise)
    return TakenTiles(
        tiles,
        read=read or pixels.get,
        stage_from_px=np.eye(2) * PIXEL_UM,
        sigma_um=STAGE_SIGMA_UM,
    )


def soft(seed):
    grain = np.random.default_rng(seed).normal(size=(1400, 1400)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), 5)
    return np.asarray(2000 + 400 * smooth / smooth.std(), np.float32)


def lattice(flaw=0.0):
    y, x = np.mgrid[0:1400, 0:1400]
    world = 2000 + 300 * np.sin(x / 4) + 300 * np.sin(y / 5)
    return np.asarray(world + flaw * (specimen() - 2000) / 400, np.float32)


def looked_for(world, seen, seed, *, believed_off_um=60.0, noise=8.0):
    """Return a place, what was told of it, of a frame of `seen` among the tiles of `world`."""
    rng = np.random.default_rng(seed)
    scene = scanned(world, rng, noise)
    true_um = rng.uniform(-85, 85, 2)
    off_um = rng.uniform(-believed_off_um, believed_off_um, 2)
    x_um, y_um = true_um + off_um
    return true_um, scene.place(taken(seen, true_um, rng, noise), near_um=(x_um, y_um))


@pytest.mark.parametrize(
    ("world", "noise", "seeds"),
    [(specimen, 8.0, 1), (soft, 8.0, 1), (soft, 400.0, 2)],
)
def test_a_frame_is_found_within_what_is_said_of_it(world, noise, seeds):
    for seed in range(seeds):
        true_um, found = looked_for(world(seed=seed), world(seed=seed), seed, noise=noise)
        assert isinstance(found, Place)
        off = np.abs(np.subtract(found.at_um, true_um)) / found.sigma_um
        assert (off < 3.5).all()
        assert found.sigma_um <= STAGE_SIGMA_UM * 1.5


@pytest.mark.slow
def test_its_sigma_covers_the_truth():
    """Of many places on soft texture: two in three within one standard deviation, at least."""
    told = [looked_for(soft(seed=seed), soft(seed=seed), seed) for seed in range(16)]
    off = np.array([np.subtract(found.at_um, true) / found.sigma_um for true, found in told])
    assert 0.3 < np.sqrt((off**2).mean()) < 1.5


def test_it_is_found_from_anywhere_on_the_map():
    true_um, found = looked_for(soft(seed=3), soft(seed=3), 3, believed_off_um=5000.0)
    assert isinstance(found, Place)
    assert np.subtract(found.at_um, true_um) == pytest.approx(0, abs=3.5 * found.sigma_um)


@pytest.mark.parametrize("flaw", [0.0, 100.0])
def test_where_the_specimen_repeats_it_is_nowhere(flaw):
    kinds = {looked_for(lattice(flaw), lattice(flaw), seed)[1].kind for seed in range(1)}
    assert kinds <= {"ambiguous", "unlike"}


def test_another_specimen_is_nowhere():
    for seed in range(2):
        _, found = looked_for(soft(seed=seed), soft(seed=seed + 50), seed)
        assert isinstance(found, NoPlace)


def test_a_frame_of_nothing_is_blank_and_no_tile_is_read():
    def never(_name):
        raise AssertionError("a tile was read")

    rng = np.random.default_rng(0)
    scene = scanned(soft(seed=0), rng, read=never)
    blank = taken(np.full((1400, 1400), 2000, np.float32), (0, 0), rng)
    assert scene.place(blank, near_um=(0.0, 0.0)).kind == "blank"


def test_tiles_that_cannot_be_read_are_passed_over():
    rng = np.random.default_rng(0)
    scene = scanned(soft(seed=0), rng, read=lambda _name: None)
    found = scene.place(taken(soft(seed=0), (0, 0), rng), near_um=(0.0, 0.0))
    assert (found.kind, "none of 0 tiles" in found.why) == ("unlike", True)


def test_a_shift_is_measured_to_half_a_pixel_and_in_its_direction():
    rng = np.random.default_rng(1)
    world = soft(seed=1)
    a, b = taken(world, (0, 0), rng), taken(world, (10.2, -6.1), rng)
    assert full_size_shift(a, b, start_px=(19, -13)) == pytest.approx((20.4, -12.2), abs=0.5)
    assert full_size_shift(a, taken(soft(seed=2), (0, 0), rng), start_px=(19, -13)) is None
