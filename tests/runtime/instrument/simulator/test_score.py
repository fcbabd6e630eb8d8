from dataclasses import dataclass, replace

import numpy as np
import pytest

from runtime.errors import InputRefused
from runtime.instrument.simulator.ground_truth import GroundTruth
from runtime.instrument.simulator.score import ScoredTile, score
from runtime.instrument.simulator.truth import TrueExposure, specimen_from_px
from runtime.tile import Label, Placement

W, H = 200, 160
TURN = {"rotation_rad": 0.012, "pixel_size_um": 0.502}


def taken(tile_id, time_s):
    return ScoredTile(tile_id=tile_id, time_s=time_s, width_px=W, height_px=H)


@dataclass
class Run:
    """A 3 x 3 run placed exactly, with everything `score` asks for."""

    truth: list
    tiles: list
    placements: dict
    labels: dict
    ground: GroundTruth | None

    def score(self):
        return score(**vars(self))


def half_tissue():
    """Ground truth of a picture of 400 x 400 µm whose right half is tissue."""
    mask = np.zeros((400, 400), bool)
    mask[:, 200:] = True
    return GroundTruth(
        positive="tissue",
        negative="resin",
        min_area_fraction=0.35,
        mask=mask,
        mask_pixel_um=1.0,
        picture_um=(400.0, 400.0),
    )


@pytest.fixture
def run():
    rng = np.random.default_rng(4)
    turn = specimen_from_px(**TURN)
    made = Run([], [], {}, {}, half_tissue())
    for index in range(9):
        name = f"t{index}"
        centre_px = np.array([150.0 * (index % 3 - 1), 120.0 * (index // 3 - 1)])
        centre_px += rng.normal(0, 3, 2)
        centre_um = turn @ centre_px
        made.truth.append(exposure(10.0 + index, tuple(centre_um), rng.normal(0, 1)))
        made.tiles.append(taken(name, 10.0 + index))
        corner = centre_px - ((W - 1) / 2, (H - 1) / 2) + (31.7, -12.2)
        made.placements[name] = Placement(tile_id=name, x_px=corner[0], y_px=corner[1])
        # A tile of 100 µm reaches far enough right of x = -15 µm to be 35 % tissue.
        label = "tissue" if centre_um[0] > -14.0 else "resin"
        made.labels[name] = Label(name=label, score=1.0)
    return made


def exposure(time_s, centre_um, defocus_um):
    return TrueExposure(
        time_s=time_s,
        exposure_ms=10.0,
        objective="10x",
        light_level=0.5,
        centre_um=centre_um,
        defocus_um=defocus_um,
        position_nm=(0, 0, 0),
        frame_index=0,
        **TURN,
    )


def test_a_perfect_run_has_no_error_whatever_its_origin(run):
    figures = run.score()
    assert figures["position_error_px"]["max"] == pytest.approx(0.0, abs=1e-9)
    assert figures["label_accuracy"] == 1.0


def test_a_displaced_tile_is_the_largest_error(run):
    run.placements["t4"] = replace(run.placements["t4"], x_px=run.placements["t4"].x_px + 3.0)
    errors = run.score()["position_error_px"]
    assert errors["max"] == pytest.approx(3.0, abs=1e-3)
    assert errors["median"] == pytest.approx(0.0, abs=1e-3)


def test_the_placed_centre_turns_with_the_tile(run):
    """A tile turned about its own pixel (0, 0) moves its centre; turned about its centre, not."""
    theta = 0.01
    straight = run.placements["t8"]
    half = np.array([(W - 1) / 2, (H - 1) / 2])
    turned = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]]) @ half
    x_px, y_px = np.array([straight.x_px, straight.y_px]) + half - turned
    run.placements["t8"] = replace(straight, x_px=x_px, y_px=y_px, theta_rad=theta)
    assert run.score()["position_error_px"]["max"] == pytest.approx(0.0, abs=1e-9)


def test_focus_error_is_the_size_of_the_true_defocus(run):
    figures = run.score()["focus_error_um"]
    defocus = np.abs([exposure.defocus_um for exposure in run.truth])
    assert figures["max"] == pytest.approx(defocus.max(), abs=1e-4)
    assert figures["median"] == pytest.approx(np.median(defocus), abs=1e-4)


def test_of_a_tile_exposed_twice_the_last_exposure_counts(run):
    lost = replace(run.truth[3], centre_um=(999.0, 999.0), defocus_um=50.0)
    run.truth.insert(0, lost)
    figures = run.score()
    assert figures["position_error_px"]["max"] == pytest.approx(0.0, abs=1e-9)
    assert figures["focus_error_um"]["max"] < 50


def test_a_wrong_label_costs_its_share(run):
    run.labels["t0"] = replace(run.labels["t0"], name="tissue")
    assert run.score()["label_accuracy"] == pytest.approx(8 / 9)
    del run.labels["t0"]
    assert run.score()["label_accuracy"] == 1.0


def test_nothing_to_judge_is_none_and_not_perfect(run):
    run.placements, run.labels, run.ground = {}, {}, None
    figures = run.score()
    assert figures["position_error_px"] is None
    assert figures["label_accuracy"] is None


def test_a_tile_the_witness_never_saw_is_refused_by_name(run):
    run.tiles.append(taken("ghost", 77.0))
    with pytest.raises(InputRefused, match="no exposure for tile ghost"):
        run.score()
