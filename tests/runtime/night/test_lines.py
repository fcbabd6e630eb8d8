"""Fields that look alike because a line runs through both: the watchman says nothing of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.calibrated.correct import Corrector
from runtime.instant import Instant
from runtime.night.glance import Glancer, like_itself
from runtime.night.suspicion import LIKE_ITSELF, Suspicion
from runtime.record.rows import TileState
from runtime.tile import Imaging, Shot, StagePosition
from tests.night_fakes import PIXEL_UM

HEIGHT_PX, WIDTH_PX = 80, 96
HOW = Imaging(
    objective="20x",
    pixel_size_um=PIXEL_UM["20x"],
    light="brightfield",
    brightness=0.5,
    exposure_ms=10.0,
)
MOVE_PX = 45


def glancer():
    shape = (HEIGHT_PX, WIDTH_PX)
    return Glancer(Corrector(np.zeros(shape), np.ones(shape)), full_scale=4095)


def shot(name, x_um, y_um=0.0):
    return Shot(
        tile_id=name,
        phase="overview",
        row=0,
        column=0,
        stage=StagePosition(x_um=x_um, y_um=y_um, z_um=2.0),
        imaging=HOW,
        taken=Instant(boot_id="bench", monotonic_s=0.0, wall_s=0.0),
    )


def field_with(draw, seed):
    """Return a field without detail but its noise, and what `draw` puts into it."""
    picture = np.full((HEIGHT_PX, WIDTH_PX), 2500, np.float32)
    draw(picture)
    noise = np.random.default_rng(seed).normal(0, 30, picture.shape)
    return (picture + noise).clip(0, 4095).astype(np.uint16)


def membrane(picture):
    for y in (13, 40, 62):
        cv2.line(picture, (0, y), (WIDTH_PX, y + 1), 600.0, 3)


def tissue(picture):
    grain = np.random.default_rng(5).normal(size=picture.shape).astype(np.float32)
    picture += 6000 * cv2.GaussianBlur(grain, (0, 0), 2.0)


def judged(draw):
    """Return the state of a tile that shows what the one before it shows, a field's half away."""
    watch = Suspicion(
        px_from_stage={"overview": np.eye(2) / PIXEL_UM["20x"]}, full_scale=4095, reach_um=8.5
    )
    first = glancer().look(shot("a", 0.0), field_with(draw, 1))
    good = TileState(tile_id="a", state="good", doubts=(), lamp=1.0)
    watch.learn(first, good)
    again = glancer().look(shot("b", MOVE_PX * PIXEL_UM["20x"]), field_with(draw, 2))
    assert first.textured
    return watch.judged(again, (), (first, good)), again


def test_a_line_along_the_move_is_no_stage_that_stands():
    """A membrane runs through both fields: they look alike, and so they must."""
    state, seen = judged(membrane)
    assert like_itself(seen, shift_px=(MOVE_PX, 0)) > LIKE_ITSELF
    assert state.state == "good"


def test_tissue_and_lines_across_the_move_tell():
    state, seen = judged(tissue)
    assert like_itself(seen, shift_px=(MOVE_PX, 0)) < LIKE_ITSELF
    assert [doubt.kind for doubt in state.doubts] == ["still"]
    _, lines = judged(membrane)
    assert like_itself(lines, shift_px=(0, MOVE_PX)) < LIKE_ITSELF


@pytest.mark.parametrize("shift_px", [(300, 0), (0, -500), (90, 70)])
def test_what_lies_beyond_the_field_is_asked_of_half_of_it(shift_px):
    assert -1 <= like_itself(judged(tissue)[1], shift_px=shift_px) < LIKE_ITSELF
