"""Outlines drawn by hand are drawn to the edge that can be seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.config.data import SectionConfig, SectionsData
from export.config.training import read_config
from export.datasets.outlines import draw_outlines, to_the_edge
from export.datasets.section import Mask, read_section
from runtime.errors import InputRefused

pytestmark = pytest.mark.export
CONFIG = Path(__file__).parents[2] / "export" / "configs" / "mussel_tissue.toml"
PIXEL_UM, SIDE_PX, RADIUS_UM = 0.5, 600, 90.0
Y, X = np.mgrid[:SIDE_PX, :SIDE_PX] * PIXEL_UM - SIDE_PX * PIXEL_UM / 2
AWAY_UM = np.hypot(Y, X)


def picture(tissue: np.ndarray) -> np.ndarray:
    """Grains on bright resin."""
    rng = np.random.default_rng(0)
    grains = cv2.GaussianBlur(rng.normal(0, 120, tissue.shape).astype(np.float32), (0, 0), 3)
    image = 220 + rng.normal(0, 2, tissue.shape) - tissue * (70 + 3 * grains)
    return np.clip(image, 0, 255).astype(np.uint8)


def disc(radius_um: float) -> Mask:
    return (radius_um > AWAY_UM).astype(np.uint8)


def radius_um(mask: Mask) -> float:
    return float(np.sqrt(mask.sum() / np.pi)) * PIXEL_UM


@pytest.mark.parametrize("beyond_um", [0.0, 4.0, 9.0])
def test_bare_resin_within_an_outline_is_taken_away(beyond_um: float) -> None:
    seen = picture(disc(RADIUS_UM))
    left = to_the_edge(seen, disc(RADIUS_UM + beyond_um), pixel_size_um=PIXEL_UM)
    assert radius_um(left) == pytest.approx(RADIUS_UM, abs=1.5)


def test_an_outline_within_the_tissue_stays() -> None:
    hand = disc(RADIUS_UM - 10)
    left = to_the_edge(picture(disc(RADIUS_UM)), hand, pixel_size_um=PIXEL_UM)
    assert left.sum() > 0.99 * hand.sum()


def test_a_lumen_stays_tissue_where_the_hand_said_so() -> None:
    ring = disc(RADIUS_UM) - disc(30)
    left = to_the_edge(picture(ring), disc(RADIUS_UM), pixel_size_um=PIXEL_UM)
    assert left[disc(25) > 0].all()


def test_what_goes_in_further_than_the_reach_is_taken_away_no_further() -> None:
    left = to_the_edge(picture(disc(30)), disc(RADIUS_UM), pixel_size_um=PIXEL_UM)
    assert radius_um(left) == pytest.approx(RADIUS_UM - 12, abs=1.5)


def _section(folder: Path) -> SectionConfig:
    """A grainy ring with a cell inside, outlined 6 µm too wide: nested in three levels."""
    seen = disc(RADIUS_UM) - disc(60) + disc(20)
    cv2.imwrite(str(folder / "ring.png"), picture(seen))
    polygons = [
        {"class": name, "points": _circle(radius)}
        for name, radius in (("tissue", RADIUS_UM + 6), ("resin", 54), ("tissue", 26))
    ]
    labels = {"classes": ["resin", "tissue"], "positive": "tissue", "min_area_fraction": 0.35}
    (folder / "ring.json").write_text(
        json.dumps(labels | {"pixel_size_um": 0.25, "polygons": polygons})
    )
    return SectionConfig(
        image=Path("ring.png"),
        labels=Path("ring.json"),
        image_pixel_size_um=PIXEL_UM,
        pixel_size_um=PIXEL_UM,
    )


def _circle(radius: float) -> list[list[int]]:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius / 0.25
    return np.rint(around + SIDE_PX).astype(int).tolist()


def test_the_file_then_paints_what_is_seen_and_keeps_the_hand(tmp_path: Path) -> None:
    section = _section(tmp_path)
    by_hand = json.loads((tmp_path / "ring.json").read_text())["polygons"]
    assert 0.1 < draw_outlines(section, tmp_path) < 0.3
    first = (tmp_path / "ring.json").read_text()
    assert json.loads(first)["by_hand"] == by_hand
    painted = read_section(
        tmp_path / section.image,
        tmp_path / section.labels,
        image_pixel_size_um=PIXEL_UM,
        pixel_size_um=PIXEL_UM,
    ).tissue
    wrong = painted != disc(RADIUS_UM) - disc(60) + disc(20)
    assert wrong.mean() < 0.02
    draw_outlines(section, tmp_path)
    assert (tmp_path / "ring.json").read_text() == first


def test_labels_without_classes_are_refused(tmp_path: Path) -> None:
    section = _section(tmp_path)
    file = tmp_path / "ring.json"
    plain = json.loads(file.read_text())
    del plain["classes"]
    file.write_text(json.dumps(plain))
    with pytest.raises(InputRefused, match=r"ring\.json lack keys"):
        draw_outlines(section, tmp_path)


def test_outlines_of_another_picture_are_refused_and_stay(tmp_path: Path) -> None:
    section = _section(tmp_path)
    before = (tmp_path / "ring.json").read_text()
    shown = cv2.imread(str(tmp_path / "ring.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "ring.png"), np.roll(shown, 80, axis=1))
    with pytest.raises(
        InputRefused, match=r"do not follow what ring\.png shows; value along \d+ %"
    ):
        draw_outlines(section, tmp_path)
    assert (tmp_path / "ring.json").read_text() == before


@pytest.mark.parametrize(
    "changed", [{"polygons": []}, {"classes": ["tissue"]}], ids=["no polygon", "one class"]
)
def test_labels_that_outline_nothing_are_refused_and_stay(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    section = _section(tmp_path)
    file = tmp_path / "ring.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    before = file.read_text()
    with pytest.raises(InputRefused, match=r"ring\.json outline nothing"):
        draw_outlines(section, tmp_path)
    assert file.read_text() == before


def test_a_configuration_of_images_has_no_outlines() -> None:
    config = CONFIG.with_name("uhcs_compact_late.toml")
    with pytest.raises(InputRefused, match=r"has no outlines.*reader uhcs.*sections"):
        CliRunner().invoke(app, ["outlines", "--config", str(config)], catch_exceptions=False)


@pytest.mark.slow
def test_the_committed_outlines_are_what_the_hand_s_come_to(tmp_path: Path) -> None:
    data = read_config(CONFIG).data
    assert isinstance(data, SectionsData)
    for one in (data.section, data.test_section):
        committed = CONFIG.parent / one.labels
        copy = tmp_path / committed.name
        shutil.copy(committed, copy)
        draw_outlines(one.model_copy(update={"labels": copy}), CONFIG.parent)
        assert copy.read_text() == committed.read_text()
