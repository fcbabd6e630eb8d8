"""A recording as an instrument: the camera gives the file taken where the stage stands."""

import cv2
import numpy as np
import pytest
import tifffile

from runtime.clock import SystemClock
from runtime.config.plan import PlannedTile
from runtime.config.port_settings import RecordingSection
from runtime.errors import CameraFailed, ConfigRefused
from runtime.instrument.camera.recorded import load_scan
from runtime.instrument.replay import Recording, ReplayCamera, ReplayStage

PIXEL_UM = 0.5
PIXELS = {
    (row, column): np.full((30, 40), 1000 + 10 * row + column, np.uint16)
    for row in range(2)
    for column in range(3)
}


@pytest.fixture
def folder(tmp_path):
    for (row, column), pixels in PIXELS.items():
        cv2.imwrite(str(tmp_path / f"r{row}_c{column}.png"), pixels)
    return tmp_path


@pytest.fixture
def recording(folder):
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    return Recording(scan, pixel_size_um=PIXEL_UM)


@pytest.fixture
def stage(recording):
    stage = ReplayStage(recording, margin_um=30.0)
    stage.home()
    return stage


@pytest.fixture
def camera(recording, stage):
    return ReplayCamera(recording, stage, clock=SystemClock())


def test_the_tiles_lie_as_far_apart_as_their_pixels_are_large(recording):
    assert [(tile.row, tile.column) for tile in recording.tiles] == sorted(PIXELS)
    for tile in recording.tiles:
        assert (tile.x_um, tile.y_um) == pytest.approx((18.0 * tile.column, 13.5 * tile.row))
        px = np.linalg.solve(recording.stage_from_px, (tile.x_um, tile.y_um))
        assert px == pytest.approx((36 * tile.column, 27 * tile.row))


def test_wherever_a_tile_was_taken_the_camera_gives_it_in_any_order(recording, stage, camera):
    for tile in reversed(recording.tiles):
        stage.move_to(x_um=tile.x_um, y_um=tile.y_um)
        pixels = camera.capture(exposure_ms=1).pixels
        assert np.array_equal(pixels, PIXELS[tile.row, tile.column])


def test_where_no_tile_was_taken_the_nearest_is_named(stage, camera):
    stage.move_to(x_um=17.0, y_um=0.2)
    with pytest.raises(CameraFailed, match=r"x 17 µm, y 0.2 µm; limit the nearest is r0_c1.png, 1"):
        camera.capture(exposure_ms=1)
    stage.move_to(x_um=17.9, y_um=0.1)
    assert camera.capture(exposure_ms=1).pixels[0, 0] == 1001


def test_a_damaged_file_is_a_lost_frame_and_the_others_are_there(folder, recording, stage, camera):
    (folder / "r0_c1.png").write_bytes(b"")
    stage.move_to(x_um=18.0)
    with pytest.raises(CameraFailed, match=r"r0_c1\.png: unreadable"):
        camera.capture(exposure_ms=1)
    stage.move_to(x_um=36.0)
    assert camera.capture(exposure_ms=1).pixels[0, 0] == 1002


def test_the_stage_passes_beside_the_tiles_but_not_far_from_them(recording, stage):
    assert stage.limits.x_um == pytest.approx((-30.0, 66.0))
    assert stage.limits.y_um == pytest.approx((-30.0, 43.5))
    assert stage.move_to(x_um=-20.0).x_um == -20.0


def test_a_plan_that_lies_elsewhere_is_refused_before_the_start(recording):
    on = recording.tiles[4]
    off = PlannedTile(tile_id="r9_c9", index=1, row=9, column=9, x_um=18.0, y_um=14.5)
    recording.refuse_elsewhere([on])
    with pytest.raises(ConfigRefused, match=r"r9_c9 lies where .*nearest is r1_c1.png.*'tiles: r"):
        recording.refuse_elsewhere([on, off])


def test_positions_without_rows_are_put_into_the_rows_they_lie_in(folder):
    rng = np.random.default_rng(4)
    lines = [
        f"r{row}_c{column}.png; ; ({36 * column + jitter[0]}, {27 * row + jitter[1]})"
        for (row, column) in PIXELS
        for jitter in [rng.uniform(-3, 3, 2)]
    ]
    (folder / "TileConfiguration.txt").write_text("dim = 2\n" + "\n".join(lines) + "\n")
    recording = Recording(load_scan(folder), pixel_size_um=PIXEL_UM)
    assert [(tile.row, tile.column) for tile in recording.tiles] == list(PIXELS)


def test_small_pixels_do_not_make_the_places_vaguer_than_the_tiles(folder):
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    assert Recording(scan, pixel_size_um=0.005).sigma_um == pytest.approx(0.02 * 40 * 0.005)


@pytest.mark.parametrize("simulated", [False, True])
def test_tiles_of_a_simulated_microscope_stay_simulated(tmp_path, simulated):
    about = '{"origin": "SIMULATED"}' if simulated else "a stain"
    tifffile.imwrite(tmp_path / "r0_c0.tif", PIXELS[0, 0], description=about, metadata=None)
    scan = load_scan(tmp_path, pattern="r{row}_c{col}.tif", overlap=0.1)
    recording = Recording(scan, pixel_size_um=PIXEL_UM)
    stage = ReplayStage(recording, margin_um=0.0)
    info = ReplayCamera(recording, stage, clock=SystemClock()).info
    assert info.simulated == simulated
    assert ("SIMULATED" in info.camera_id) == simulated


def test_files_that_keep_their_lowest_row_first_are_turned_upright(tmp_path):
    rising = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
    for column in range(2):
        cv2.imwrite(str(tmp_path / f"r0_c{column}.png"), rising[::-1])
    how = {"folder": str(tmp_path), "pattern": "r{row}_c{col}.png", "overlap": 0.1}
    told = RecordingSection.read(how | {"pixel_size_um": 0.5, "flip": True}, source="test")
    scan = load_scan(
        told.folder, pattern=told.pattern, overlap=told.overlap, bottom_first=told.flip
    )
    assert np.array_equal(scan.read(scan.tiles[1]), rising)
