"""The map as a viewer sees it while it grows: parts, what changed, and where the stage is."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.appliance.views import views
from runtime.appliance.views.shown_map import ShownWindow, um_from_px
from runtime.record.glimpse import glimpses
from runtime.record.journal import Journal
from runtime.stitch.map.canvas import CHUNK_PX
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.map.seen import seen_map
from runtime.tile import Placement
from tests.runtime.appliance.page.asking import Asking
from tests.runtime.report.conftest import HEIGHT, WIDTH, finished

BOUNDS = (-40.0, -30.0, 1500.0, 700.0)
TURNED = ((-0.5, 0.01), (0.01, 0.5))


class Growing:
    """A run whose map grows, of tiles that are each one grey level."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mosaic = Mosaic(
            folder / "map.ome.zarr",
            tile_shape_px=(HEIGHT, WIDTH),
            pixel_size_um=0.5,
            dtype=np.uint16,
            name="night",
            simulated=True,
            bounds_px=BOUNDS,
        )
        self.levels: dict[str, int] = {}

    def draw(self, name: str, x_px: float, y_px: float, level: int) -> None:
        self.levels[name] = level
        place = Placement(tile_id=name, x_px=x_px, y_px=y_px)
        self.mosaic.update({name: place}, self._pixels)

    def _pixels(self, name: str) -> np.ndarray:
        ripple = np.random.default_rng(0).integers(-50, 50, (HEIGHT, WIDTH))
        return (self.levels[name] + ripple).astype(np.uint16)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("night"))


@pytest.fixture
def growing(night: Path, tmp_path: Path) -> Growing:
    shutil.copytree(night, tmp_path / "night")
    return Growing(tmp_path / "night")


@pytest.fixture
def asking(growing: Growing) -> Asking:
    return Asking.of_views(views(growing.folder.parent))


def grey_of(asking: Asking, path: str) -> np.ndarray:
    answer = asking.get(path)
    assert answer.status_code == 200, answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_there_is_no_map_before_the_first_tile_and_then_there_is(
    growing: Growing, asking: Asking
) -> None:
    assert asking.get("/runs/night/map.json").status_code == 404
    growing.draw("a", 0, 0, 1000)
    about = asking.json("/runs/night/map.json")
    assert about["levels"] == [[1540, 730], [770, 365], [385, 183], [193, 92]]
    assert about["origin_px"] == [-40, -30]
    assert (about["finished"], about["changed"]) == (False, None)
    drawn = grey_of(asking, "/runs/night/map/0/0_0.jpg?w=0-2000")
    assert drawn.shape == (CHUNK_PX, CHUNK_PX)
    assert float(drawn[30 + HEIGHT // 2, 40 + WIDTH // 2]) == pytest.approx(127, abs=8)
    assert drawn[400, 400] == 0
    edge = grey_of(asking, "/runs/night/map/1/1_0.jpg")
    assert edge.shape == (1, 1)  # nothing is drawn there
    growing.draw("b", 1300, 500, 1500)
    assert grey_of(asking, "/runs/night/map/1/1_0.jpg").shape == (365, 258)


def test_only_the_parts_that_were_drawn_since_are_named(growing: Growing, asking: Asking) -> None:
    growing.draw("a", 0, 0, 1000)
    first = asking.json("/runs/night/map.json")
    known = f"epoch={first['epoch']}&since={first['stamp']}"
    same = asking.json(f"/runs/night/map.json?{known}")
    assert same["changed"] == []
    growing.draw("b", 1300, 500, 1500)
    later = asking.json(f"/runs/night/map.json?{known}")
    changed = {(level, x, y) for level, x, y, _ in later["changed"]}
    assert {(0, 2, 1), (1, 1, 0), (2, 0, 0), (3, 0, 0)} <= changed
    assert (0, 1, 0) not in changed
    stamp = {(level, x, y): v for level, x, y, v in later["changed"]}[0, 2, 1]
    path = f"/runs/night/map/0/2_1.jpg?e={first['epoch']}&w=0-2000"
    assert "immutable" in asking.get(f"{path}&v={stamp}").headers["cache-control"]
    assert "no-cache" in asking.get(f"{path}&v=1").headers["cache-control"]


def test_a_map_that_outgrew_its_canvas_is_another(growing: Growing, asking: Asking) -> None:
    growing.draw("a", 0, 0, 1000)
    first = asking.json("/runs/night/map.json")
    growing.draw("far", 2000, 0, 1000)
    later = asking.json(f"/runs/night/map.json?epoch={first['epoch']}&since={first['stamp']}")
    assert later["epoch"] != first["epoch"]
    assert later["changed"] is None
    old = asking.get(f"/runs/night/map/0/0_0.jpg?e={first['epoch']}")
    assert old.status_code == 404
    assert old.json()["error"]["remedy"] == "read map.json again"


@pytest.mark.parametrize("part", ["9/0_0", "0/4_0", "0/0_2", "3/1_0"])
def test_parts_outside_the_map_are_refused(growing: Growing, asking: Asking, part: str) -> None:
    growing.draw("a", 0, 0, 1000)
    answer = asking.get(f"/runs/night/map/{part}.jpg")
    assert answer.status_code == 409
    assert answer.json()["error"]["what"] == "the map has no such part"


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json", "0/c/0/0"])
def test_a_damaged_map_is_named(growing: Growing, asking: Asking, name: str) -> None:
    growing.draw("a", 0, 0, 1000)
    (growing.folder / "map.ome.zarr" / name).write_bytes(b"{}")
    answer = asking.get("/runs/night/map/0/0_0.jpg?w=0-9")
    assert answer.status_code == 409
    assert "cannot be read" in answer.json()["error"]["what"]


def test_a_map_in_the_moment_of_its_exchange_is_not_there_yet(
    growing: Growing, asking: Asking
) -> None:
    growing.draw("a", 0, 0, 1000)
    shutil.move(growing.folder / "map.ome.zarr", growing.folder / "map.ome.zarr.old")
    assert asking.get("/runs/night/map.json").status_code == 404


def test_black_and_white_stay_until_something_lies_beyond(growing: Growing) -> None:
    window = ShownWindow()
    growing.draw("a", 0, 0, 1000)
    growing.draw("b", 300, 0, 2000)
    folder = growing.folder / "map.ome.zarr"
    first = window.of(seen_map(folder))
    assert first[0] < 1000 < 2000 < first[1]
    growing.draw("c", 600, 0, 1500)
    assert window.of(seen_map(folder)) == first
    growing.draw("d", 900, 0, 9000)
    brighter = window.of(seen_map(folder))
    assert brighter[0] <= first[0]
    assert brighter[1] > 8000
    shutil.rmtree(folder / "3" / "c")  # what is coarse is drawn last, and not yet
    assert window.of(seen_map(folder)) == (0, 65535)
    assert window._held == (seen_map(folder).epoch, brighter)


def test_the_middle_of_every_tile_is_where_the_stage_was(growing: Growing) -> None:
    """Tiles lie where the stage went, as the camera is turned, each within half a micrometre."""
    file = growing.folder / "journal.sqlite"
    journal = Journal(file)
    rng = np.random.default_rng(3)
    px_from_um = np.linalg.inv(np.array(TURNED))
    for tile in journal.tiles("overview"):
        stage = np.array([tile.shot.stage.x_um + 70.0, tile.shot.stage.y_um - 20.0])
        middle = px_from_um @ (stage + rng.normal(0, 0.15, 2))
        corner = middle - (np.array([WIDTH, HEIGHT]) - 1) / 2
        journal.set_placements(
            [Placement(tile_id=tile.tile_id, x_px=float(corner[0]), y_px=float(corner[1]))]
        )
    journal.close()
    tiles = glimpses(file)
    matrix = np.array(um_from_px({"stage_from_px": TURNED}, tiles))
    for tile in tiles:
        if tile.x_px is None:
            continue
        middle = tile.x_px + (WIDTH - 1) / 2, tile.y_px + (HEIGHT - 1) / 2
        at = matrix @ (*middle, 1)
        assert np.hypot(*(at - (tile.x_um, tile.y_um))) < 1.0
    assert um_from_px({"stage_from_px": TURNED}, []) is None
    assert um_from_px(None, tiles) is None
