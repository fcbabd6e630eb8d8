"""A lattice matches a period further as well: no such scan passes without a word."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.offline.stitch import stitch_folder
from runtime.offline.vouching import doubts
from runtime.stitch.match.repeats import led_by_nats, periods_px
from runtime.tile import Seam
from tests.runtime.stitch.stitch_scans import Scan, lattice, scan


def stitched(folder: Path, turned_deg: float) -> tuple[Scan, dict]:
    """Return a scan of a lattice and what came of it, by a stage that is turned."""
    made = scan(rows=3, columns=3, overlap=0.2, image=lattice)
    angle = np.deg2rad(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lines = []
    for tile in made.tiles:
        assert cv2.imwrite(str(folder / f"{tile.tile_id}.png"), tile.pixels)
        x, y = turn @ (tile.x_um, tile.y_um)
        lines.append(f"{tile.tile_id}.png; ; ({x}, {y})")
    (folder / "TileConfiguration.txt").write_text("\n".join(lines))
    return made, stitch_folder(folder, out=folder / "out", stage_sigma_px=3.0)


@pytest.mark.slow
def test_a_lattice_under_a_turned_stage_is_suspect_as_a_whole(tmp_path: Path) -> None:
    made, told = stitched(tmp_path, turned_deg=10.0)
    assert told["seams_matched"] >= 12  # all neighbours, a period off, and none contradicts another
    assert told["flagged"] == {"suspect": len(made.tiles)}
    assert told["exit_code"] == 5
    assert any("whether the whole scan lies one period further" in word for word in told["words"])


@pytest.mark.slow
def test_the_flaws_of_a_lattice_vouch_for_a_right_stage(tmp_path: Path) -> None:
    _, told = stitched(tmp_path, turned_deg=0.0)
    assert told["flagged"] == {}
    assert told["exit_code"] == 0


def seam(a: str, b: str, *, residual_px: float = 0.0) -> Seam:
    return Seam(a=a, b=b, dx_px=0.0, dy_px=180.0, residual_px=residual_px, ncc=0.9, method="phase")


def test_a_seam_that_the_map_does_not_follow_vouches_for_no_place_in_it() -> None:
    """Two of five tiles lie a period off: the seam that knows it was outvoted."""
    followed = {seam("a", "b"): 14.0, seam("b", "c"): 9.0, seam("d", "e"): 12.0}
    wrong = {seam("b", "d"): -11.0, seam("c", "e", residual_px=24.0): 14.0}
    assert doubts(followed | wrong) == (True, {"d", "e"})


def test_the_periods_of_a_lattice_are_its_shortest_ways() -> None:
    y, x = np.indices((200, 240))
    square = np.cos(2 * np.pi * x / 24) + np.cos(2 * np.pi * y / 30)
    assert periods_px(square) == ((24, 0), (0, 30))
    assert periods_px(np.random.default_rng(0).normal(size=(200, 240))) == ()


def test_flaws_speak_for_the_place_they_share_and_against_one_a_period_off() -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices((200, 360))
    flaws = cv2.GaussianBlur(rng.normal(size=x.shape), (0, 0), 1.5)
    whole = np.cos(2 * np.pi * x / 20) + np.cos(2 * np.pi * y / 20) + 0.5 * flaws
    a, b = (whole[:, at : at + 200] + rng.normal(0, 0.1, (200, 200)) for at in (0, 140))
    ways = periods_px(a)
    assert led_by_nats(a, b, (140.0, 0.0), ways) > 8
    assert led_by_nats(a, b, (120.0, 0.0), ways) < -8
