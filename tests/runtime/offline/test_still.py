"""A stage or a camera that stood still, all the time or for a while; and dust that stays put."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import InputRefused
from runtime.offline.still import made_small, one_picture, same_pictures
from runtime.offline.stitch import stitch_folder
from runtime.tile import Pixels
from tests.runtime.stitch.stitch_scans import SHAPE_PX, scan, section

PATTERN, OVERLAP = "r{row}_c{col}.png", 0.15


def tiles() -> dict[str, Pixels]:
    return {f"{tile.tile_id}.png": tile.pixels for tile in scan(rows=3, columns=3).tiles}


def again(pixels: Pixels, seed: int, *, noise: float = 60.0) -> Pixels:
    """The same picture with new noise, in another light."""
    rng = np.random.default_rng(seed)
    seen = pixels * rng.uniform(0.97, 1.03) + rng.normal(0, noise, pixels.shape)
    return np.clip(seen, 0, 65535).astype(np.uint16)


def stitch(folder: Path, named: dict[str, Pixels], *, fix: bool = False) -> dict:
    for name, pixels in named.items():
        assert cv2.imwrite(str(folder / name), pixels)
    out = folder / "out"
    return stitch_folder(folder, pattern=PATTERN, overlap=OVERLAP, out=out, fix=fix)


@pytest.mark.parametrize("fix", [False, True])
@pytest.mark.parametrize("noise", [30.0, 400.0])
def test_one_picture_over_and_over_is_refused_for_what_it_is(
    tmp_path: Path, fix: bool, noise: float
) -> None:
    named = tiles()
    frozen = {name: again(named["r1_c1.png"], n, noise=noise) for n, name in enumerate(named)}
    with pytest.raises(InputRefused, match="all pictures show one place: stage or camera stood"):
        stitch(tmp_path, frozen, fix=fix)


@pytest.mark.slow
def test_tiles_for_which_the_stage_stood_still_are_named_and_left_out(tmp_path: Path) -> None:
    named = tiles()
    for seed, name in enumerate(["r1_c2.png", "r2_c0.png", "r2_c1.png"]):
        named[name] = again(named["r1_c1.png"], seed)
    summary = stitch(tmp_path, named)
    left_out = {one["file"]: one["fate"] for one in summary["left_out"]}
    assert left_out == dict.fromkeys(["r1_c2.png", "r2_c0.png", "r2_c1.png"], "same picture")
    assert (summary["exit_code"], summary["tiles"]) == (5, 6)
    assert any(
        "stood still: r1_c2.png, r2_c0.png, r2_c1.png (as r1_c1.png" in w for w in summary["words"]
    )


def dust() -> np.ndarray:
    """What a dirty camera adds to every picture."""
    rng, specks = np.random.default_rng(3), np.zeros(SHAPE_PX, np.float32)
    for x, y, size in rng.integers((0, 0, 2), (SHAPE_PX[1], SHAPE_PX[0], 6), (40, 3)).tolist():
        cv2.circle(specks, (x, y), size, -700.0, -1)
    return specks


def under_dust(pixels: Pixels) -> Pixels:
    return np.clip(pixels + dust(), 0, 65535).astype(np.uint16)


def test_a_specimen_that_moves_under_dust_does_not_stand_still(tmp_path: Path) -> None:
    summary = stitch(tmp_path, {name: under_dust(pixels) for name, pixels in tiles().items()})
    assert (summary["exit_code"], summary["left_out"]) == (0, [])


def test_empty_tiles_that_share_their_dust_are_no_one_picture() -> None:
    """The others have it too."""
    pictures = {
        name: made_small(under_dust(again(np.full(SHAPE_PX, 3000, np.uint16), n)))
        if n % 2
        else made_small(under_dust(pixels))
        for n, (name, pixels) in enumerate(tiles().items())
    }
    assert same_pictures(pictures, list(pictures)) == []


def test_a_lattice_that_meets_itself_is_no_one_picture() -> None:
    y, x = np.indices(SHAPE_PX)
    lattice = 3000 + 900 * np.cos(2 * np.pi * x / 24) * np.cos(2 * np.pi * y / 24)
    pictures = {str(n): made_small(again(lattice.astype(np.uint16), n)) for n in range(4)}
    assert same_pictures(pictures, list(pictures)) == []
    assert not one_picture(pictures.values())


def test_two_pictures_that_differ_tell_and_no_third_is_made() -> None:
    def pictures() -> Iterator[np.ndarray]:
        for pixels in list(tiles().values())[:2]:
            yield made_small(pixels)
        pytest.fail("a third picture was asked for")

    assert not one_picture(pictures())


@pytest.mark.slow
def test_a_row_that_lies_elsewhere_is_no_turned_camera(tmp_path: Path) -> None:
    """Half of its pairs and all of the others agree on a shear, which no camera has."""
    height, width = SHAPE_PX
    named = {}
    for row in range(4):
        for column in range(4):
            x = 300 + round(column * width * (1 - OVERLAP)) + (width // 2 if row == 2 else 0)
            y = 300 + round(row * height * (1 - OVERLAP))
            seen = 16 * section()[y : y + height, x : x + width].astype(np.uint16)
            named[f"r{row}_c{column}.png"] = again(seen, 4 * row + column, noise=20)
    summary = stitch(tmp_path, named)
    assert summary["exit_code"] == 5
    assert not any("turned" in word for word in summary["words"])
    assert any("the pictures cannot tell" in word for word in summary["words"])


@pytest.mark.slow
def test_a_camera_turned_within_reach_is_named_with_its_angle(tmp_path: Path) -> None:
    cosine, sine = np.cos(np.radians(4)), np.sin(np.radians(4))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = (np.array(SHAPE_PX[::-1]) - 1) / 2
    named = {}
    for row in range(3):
        for column in range(3):
            at = 500 + (1 - OVERLAP) * np.array([column, row]) * SHAPE_PX[::-1]
            into = np.column_stack([turn, at - turn @ middle])
            how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
            seen = cv2.warpAffine(section(), into, SHAPE_PX[::-1], flags=how)
            named[f"r{row}_c{column}.png"] = again(16 * np.clip(seen, 0, 255), column, noise=20)
    summary = stitch(tmp_path, named)
    assert summary["exit_code"] == 0
    assert any(w == "the camera is turned by -4.0° against the stage" for w in summary["words"])
