from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("sklearn")

from export.texture.lbp_picture import CAPTION_PX, GAP_PX, code_colours, write_lbp_picture
from export.texture.lbp_table import code_dissimilarity, stored_table
from export.texture.scaling import scale, stress
from runtime.errors import InputRefused
from runtime.preprocess.lbp import full_codes

pytestmark = pytest.mark.export

LUT = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)


def apart(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_points_are_found_again_from_the_order_of_their_distances() -> None:
    points = np.random.default_rng(1).normal(size=(40, 2))
    found = scale(apart(points) ** 3, dimensions=2, seed=0)
    assert found.stress < 0.01
    pairs = np.triu_indices(40, 1)
    assert np.corrcoef(apart(found.points)[pairs], apart(points)[pairs])[0, 1] > 0.999


def test_points_lie_centred_along_their_principal_axes() -> None:
    found = scale(apart(np.random.default_rng(2).normal(size=(25, 3))), dimensions=3, seed=0)
    spread = found.points.T @ found.points
    assert np.allclose(found.points.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(spread, np.diag(spread.diagonal()), atol=1e-9)
    assert (np.diff(spread.diagonal()) <= 0).all()
    assert (found.points[-1] >= 0).all()


def test_too_few_dimensions_cost_stress() -> None:
    away = apart(np.random.default_rng(3).normal(size=(30, 4)))
    flat, deep = (scale(away, dimensions=d, seed=0).stress for d in (1, 3))
    assert 0 < deep < flat < 1


def test_stress_is_kruskals() -> None:
    # Distances 1, 1, 2 in the order of dissimilarities 1, 3, 2: the last two settle on 1.5 each.
    line = np.array([[0.0], [1.0], [2.0]])
    unlike = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    assert stress(line, unlike) == pytest.approx(np.sqrt((0.5**2 + 0.5**2) / (1 + 1 + 4)))


def plain_dissimilarity(first: int, second: int) -> int:
    """The design's formula, bit by bit."""

    def bits(code: int) -> list[int]:
        return [(code >> neighbour) & 1 for neighbour in range(8)] + [0]

    def between(p: list[int], q: list[int]) -> int:
        return sum(abs(sum(p[: n + 1]) - sum(q[: n + 1])) for n in range(9))

    p, q = bits(first), bits(second)
    return min(between(p, q), between(p[::-1], q), between(p, q[::-1]))


def test_the_dissimilarity_is_the_papers() -> None:
    table = code_dissimilarity()
    rng = np.random.default_rng(4)
    for first, second in [(0, 255), (1, 2), (1, 128), *rng.integers(0, 256, (200, 2)).tolist()]:
        assert table[first, second] == plain_dissimilarity(first, second)
    assert np.array_equal(table, table.T)


def test_the_stored_table_puts_like_codes_together() -> None:
    table = stored_table()
    assert (table.coordinates.shape, table.coordinates.dtype) == ((256, 3), np.float32)
    assert np.abs(table.coordinates).max() == 1
    assert table.stress < 0.105
    pairs = np.triu_indices(256, 1)
    distances = apart(table.coordinates.astype(np.float64))[pairs]
    assert np.corrcoef(distances, code_dissimilarity()[pairs])[0, 1] > 0.9


def test_the_picture_shows_every_radius_in_the_colours_of_its_codes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 4096, (50, 60)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "tile.png"), pixels)
    write_lbp_picture(
        tmp_path / "tile.png", tmp_path / "lbp.png", LUT, top_px=7, left_px=9, side_px=30
    )
    picture = cv2.imread(str(tmp_path / "lbp.png"))
    assert picture.shape == (30 + CAPTION_PX, 4 * 30 + 3 * GAP_PX, 3)
    for radius_px in (1, 2, 3):
        left = radius_px * (30 + GAP_PX)
        wanted = code_colours(LUT)[full_codes(pixels)[radius_px - 1, 7:37, 9:39]]
        assert np.array_equal(picture[CAPTION_PX:, left : left + 30], wanted)


@pytest.mark.parametrize(
    ("shape", "message"), [((20, 20, 3), "not a grey image"), ((20, 20), "does not reach")]
)
def test_what_cannot_be_pictured_is_named(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = tmp_path / "tile.png"
    cv2.imwrite(str(path), np.zeros(shape, np.uint8))
    with pytest.raises(InputRefused, match=rf"tile\.png .*{message}"):
        write_lbp_picture(path, tmp_path / "o.png", LUT, top_px=0, left_px=0, side_px=21)
    with pytest.raises(InputRefused, match=r"absent\.png"):
        write_lbp_picture(
            tmp_path / "absent.png", tmp_path / "o.png", LUT, top_px=0, left_px=0, side_px=2
        )
