"""Nights with a camera that bends its frames: with its distortion calibrated, and without."""

import signal

import numpy as np
import pytest

from runtime.config.port_settings import BentSection
from runtime.errors import Stopped
from runtime.instrument.simulator.lens import lens
from tests.night_fakes import Bench, Night

pytestmark = pytest.mark.slow

SIZE = {"width_px": 240, "height_px": 200}
PLAN = """
name: bent
objective: 10x
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
overlap: 0.25
focus: {policy: fixed, start_z_um: 2, range_um: 60}
"""


def bent(**how):
    return Bench(bend=lens(BentSection(kind="radial", corner_px=6.0), **SIZE), **SIZE, **how)


def errors_px(night):
    """Return how far the tiles' centres are from where they were taken, the common offset removed.

    The bench's stage stands where it says.
    """
    with night.journal() as journal:
        placed, tiles = journal.placements(), journal.tiles()
    half = np.array([(SIZE["width_px"] - 1) / 2, (SIZE["height_px"] - 1) / 2])
    off = []
    for tile in tiles:
        place, stage = placed[tile.tile_id], tile.shot.stage
        cosine, sine = np.cos(place.theta_rad), np.sin(place.theta_rad)
        centre = (place.x_px, place.y_px) + np.array([[cosine, -sine], [sine, cosine]]) @ half
        off.append(centre - np.array([stage.x_um, stage.y_um]) / 0.5)
    return np.hypot(*(off - np.median(off, axis=0)).T)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    night = Night(tmp_path_factory.mktemp("measured") / "night", bent(bend_measured=True), PLAN)
    assert night.go_on()["tiles_done"] == 9
    return night


def stamp(night):
    """Return what the finished map says it was drawn under: the boot, and the distortion."""
    return (night.path / "map.ome.zarr/drawn.jsonl").read_text().splitlines()[0]


def drawn(night):
    """Return every chunk of the map."""
    chunks = (night.path / "map.ome.zarr").rglob("c/**/*")
    return {p.relative_to(night.path): p.read_bytes() for p in chunks if p.is_file()}


def test_tiles_of_a_calibrated_lens_lie_where_they_were_taken(measured):
    assert np.percentile(errors_px(measured), 95) <= 0.05


def test_the_record_is_among_the_calibrations_and_draws_the_map(measured):
    kinds = [row["kind"] for row in measured.read(lambda journal: journal.fact("calibrations"))]
    assert "distortion" in kinds
    assert measured.bench.bend.fingerprint in stamp(measured)


def test_a_calibrated_map_is_judged_by_its_own_pictures(measured):
    quality, bent_px, (seams, tiles) = measured.read(
        lambda journal: (journal.fact("map_quality"), journal.fact("bent_px"), journal.judged())
    )
    assert quality["truth"]["mismatch_px"]["p95"] < 0.1
    assert quality["truth"]["blocks_compared"] > 30
    assert (len(seams), len(tiles), bent_px) == (12, 9, 0.0)
    assert all(one.mismatch_px is not None and one.left_out_px is not None for one in seams)
    page = (measured.path / "report.html").read_text()
    assert "Pictures of neighbours lie" in page
    assert "BENT FRAMES" not in page


def test_without_a_record_the_overlaps_tell_most_of_it_and_the_report_the_cure(tmp_path):
    """How large the frames are as a whole no overlap says, so that tiles lie worse."""
    night = Night(tmp_path / "night", bent(), PLAN)
    assert night.go_on()["bent_px"] == pytest.approx(6.0, abs=1.5)
    assert 0.1 < np.percentile(errors_px(night), 95) < 0.6
    assert len(stamp(night).split()) == 2
    page = (night.path / "report.html").read_text()
    assert "rames are bent, see Seams" in page
    assert "nightscope calibrate distortion --objective 10x" in page


def test_an_interrupted_night_ends_with_the_same_map(tmp_path, measured):
    def stop(bench):
        if len(bench.frames) == 5:
            signal.raise_signal(signal.SIGTERM)

    night = Night(tmp_path / "night", bent(bend_measured=True, on_frame=stop), PLAN)
    with pytest.raises(Stopped):
        night.go_on()
    night.go_on()
    assert drawn(night) == drawn(measured) != {}
