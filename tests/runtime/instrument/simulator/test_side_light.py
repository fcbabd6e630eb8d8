"""Frames under light from the side: seen through the world's stage, light and camera."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.config.port_settings import BentSection
from runtime.config.settings import Objective, parse_settings
from runtime.instrument.opening import open_microscope
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.lens import lens
from runtime.instrument.simulator.optics import transmitted
from runtime.instrument.simulator.side_light import SIDES, Material, SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import read_truth
from runtime.instrument.simulator.wave_optics import ElectronLens
from runtime.instrument.simulator.world import World
from tests.runtime.instrument.simulator.exposures import SIZE, STILL
from tests.simulated import SIMULATED

SIDE = SideLight(sine=0.2)
SEEN = replace(STILL, channel="led_left")


@pytest.fixture
def phases_um(grating, grating_specimen, objectives):
    """Returns where the grating lies along x and y in one exposure, µm."""

    def phases_um(exposure, side=SIDE, objective="10x"):
        image = side.transmitted(grating_specimen, objectives[objective], exposure, **SIZE)
        assert image.shape == (200, 240)
        assert image.dtype == np.float32
        read = grating.read(image, pixel_um=exposure.pixel_size_um)
        return -np.angle(read) * grating.period_um / (2 * np.pi)

    return phases_um


@pytest.mark.parametrize(("pixel_um", "objective"), [(0.5, "10x"), (0.25, "20x"), (0.9, "10x")])
def test_in_focus_the_middle_stays_the_middle(phases_um, pixel_um, objective):
    seen = replace(SEEN, pixel_size_um=pixel_um)
    assert phases_um(seen, objective=objective) == pytest.approx([0, 0], abs=0.02 * pixel_um)


@pytest.mark.parametrize("channel", SIDES)
@pytest.mark.parametrize("defocus_um", [-9.0, 4.0])
def test_out_of_focus_the_picture_moves_away_from_the_light_above_and_to_it_below(
    phases_um, channel, defocus_um
):
    seen = replace(SEEN, channel=channel, defocus_um=defocus_um)
    tangent = 0.2 / np.sqrt(1 - 0.2**2)
    expected = defocus_um * tangent * np.array(SIDES[channel])
    assert phases_um(seen) == pytest.approx(expected, abs=0.03 * abs(defocus_um) * tangent)


def test_in_focus_an_amplitude_object_looks_as_in_brightfield(
    grating, grating_specimen, objectives
):
    """As coarse as the grating is, the lens passes all of it: so do both modes."""
    wave = SIDE.transmitted(grating_specimen, objectives["20x"], SEEN, **SIZE)
    blur = transmitted(grating_specimen, objectives["20x"], SEEN, **SIZE)
    assert np.abs(wave - blur).max() < 0.03


def test_a_phase_object_is_seen_out_of_focus_only(grating, grating_specimen, objectives):
    side = replace(SIDE, sine=0.05, material=Material(absorption=0.0, phase_rad=0.3))
    sharp, blurred = (
        side.transmitted(
            grating_specimen, objectives["10x"], replace(SEEN, defocus_um=z), **SIZE
        ).std()
        for z in (0.0, 25.0)
    )
    assert sharp < 0.001 < 0.01 < blurred


def test_a_mixed_object_absorbs_and_delays():
    grey = np.array([[0.25, 1.0]], np.float32)
    seen = Material(absorption=1.0, phase_rad=0.8).transmission(grey)
    assert seen == pytest.approx(np.array([[0.5 * np.exp(0.6j), 1.0]]), abs=1e-6)


def test_a_source_of_some_size_blurs_more_out_of_focus(grating, grating_specimen, objectives):
    def contrast(source, defocus_um):
        seen = replace(SEEN, defocus_um=defocus_um)
        side = replace(SIDE, source=source)
        image = side.transmitted(grating_specimen, objectives["10x"], seen, **SIZE)
        return np.abs(grating.read(image, pixel_um=0.5)).sum()

    assert contrast(0.06, 0.0) == pytest.approx(contrast(0.0, 0.0), rel=0.02)
    assert contrast(0.06, 30.0) < 0.9 * contrast(0.0, 30.0)


def test_smear_blurs_and_a_bent_camera_bends(grating_specimen, objectives):
    def see(exposure, distortion=None):
        optics = objectives["10x"]
        return SIDE.transmitted(grating_specimen, optics, exposure, **SIZE, distortion=distortion)

    assert see(replace(SEEN, smear_um=15.0)).std() < 0.5 * see(SEEN).std()
    bend = lens(BentSection(kind="radial", corner_px=6.0), **SIZE)
    bent, straight = see(SEEN, bend), see(SEEN)
    assert np.abs(bent - straight)[90:110, 110:130].max() < 0.01
    assert np.abs(bent - straight)[:20, :20].max() > 0.1


def test_an_electron_column_tilts_its_beam_with_the_same_channels(grating):
    """The grating at a nanometre a pixel, seen through a lens with spherical aberration."""
    specimen = Specimen(lambda: grating.picture()[:400, :480], pixel_um=0.001)
    period_um = grating.period_um * 0.001 / grating.pixel_um
    column = ElectronLens(wavelength_um=2.51e-6, aperture_rad=3e-3, spherical_um=1200.0)
    side = SideLight(sine=1.5e-3, column=column)
    objective = Objective(magnification=10_000, na=0.003, pixel_size_um=0.001)
    left, right = (
        side.transmitted(
            specimen,
            objective,
            replace(SEEN, pixel_size_um=0.001, defocus_um=4.0, channel=channel),
            **SIZE,
        )
        for channel in ("led_left", "led_right")
    )
    scaled = replace(grating, period_um=period_um)
    turned = np.angle(scaled.read(left, pixel_um=0.001)[0] / scaled.read(right, pixel_um=0.001)[0])
    shift_um = -turned * period_um / (2 * np.pi)
    expected_um = 2 * 1.5e-3 * (4.0 + 1200.0 * 1.5e-3**2)
    assert shift_um == pytest.approx(expected_um, rel=0.05)


@pytest.fixture
def lit_world(grating_specimen, objectives):
    return World(
        seed=1,
        speed=100.0,
        objectives=objectives,
        camera_width_px=256,
        camera_height_px=192,
        specimen=grating_specimen,
        side_light=SIDE,
    )


def test_the_board_offers_a_channel_a_side(lit_world, make_world):
    assert lit_world.board.channels == ("brightfield", *SIDES)
    assert make_world().board.channels == ("brightfield",)


def test_the_camera_sees_what_the_board_lights(lit_world, clock, grating, move):
    """Two LEDs, one after the other, and nothing moved: the pictures lie apart by 2z tanθ."""
    camera = SimulatedCamera(lit_world, clock=clock)
    move(lit_world, z_um=20.0)
    seen = {}
    for channel in ("led_left", "led_right"):
        lit_world.set_light(channel=lit_world.channels.index(channel), level=128)
        seen[channel] = camera.capture(exposure_ms=10.0).pixels.astype(float)
    truth = lit_world.expose(exposure_ms=10.0)
    assert truth.channel == "led_right"
    read = [grating.read(one, pixel_um=truth.pixel_size_um)[0] for one in seen.values()]
    shift_um = -np.angle(read[0] / read[1]) * grating.period_um / (2 * np.pi)
    expected_um = 2 * truth.defocus_um * 0.2 / np.sqrt(1 - 0.2**2)
    # A grating tells the shift up to whole periods.
    off_um = (shift_um - expected_um + 6) % 12 - 6
    assert abs(off_um) < 0.02 * abs(expected_um) + 0.05


def test_a_channel_the_world_does_not_have_leaves_it_dark(lit_world):
    lit_world.set_light(channel=len(lit_world.channels), level=255)
    assert lit_world.expose(exposure_ms=1.0).light_level == 0.0


def test_settings_put_the_leds_on_the_simulated_board(tmp_path, clock):
    """Over the serial line of the emulated board: each LED lit by name, off between frames."""
    settings = parse_settings(
        SIMULATED
        + "[simulation]\nspeed = 1000\ndust_specks = 30\n"
        + "[simulation.side_light]\nsine = 0.15\nphase_rad = 0.5\n"
        + "[simulation.unrest]\nvibration_um = 0.05\n",
        source=tmp_path / "settings.toml",
    )
    truth = tmp_path / "truth.jsonl"
    with open_microscope(settings, truth=truth) as rig:
        assert rig.light.channels == ("brightfield", *SIDES)
        rig.stage.home()
        for channel in ("led_left", "led_right"):
            rig.expose(channel=channel, brightness=0.5, exposure_ms=5.0)
    seen = read_truth(truth)
    assert [one.channel for one in seen] == ["led_left", "led_right"]
    assert all(one.light_level == pytest.approx(128 / 255) and one.smear_um > 0 for one in seen)
