"""The network that ships, on a section that it was not trained on, seen through the simulator."""

from functools import cache

import numpy as np
import pytest

from runtime.config.settings import ModelsSection, Objective
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.session import Backend
from runtime.instrument.simulator.side_light import Material, SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure
from runtime.tasks.focus.finder import regressor_of
from runtime.tile import Pixels

OPTICS = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
DEPTH_UM, SINE = OPTICS.depth_of_field_um, 0.2
# Light of the left LED travels towards x.
LED, SHAPE = "led_left", (448, 576)
MATERIALS = {
    "amplitude": Material(),
    "weak phase": Material(absorption=0.0, phase_rad=0.3),
    "mixed": Material(absorption=1.0, phase_rad=1.0),
}


@cache
def section() -> Specimen:
    return Specimen()


def seen(material: str, z_um: float, *, centre_um: tuple[float, float] = (0.0, 0.0)) -> Pixels:
    """Return a frame of the section, so far above focus, with shot noise."""
    exposure = TrueExposure(
        time_s=0.0, exposure_ms=10.0, objective="10x", light_level=0.5, centre_um=centre_um,
        defocus_um=z_um, rotation_rad=0.012, pixel_size_um=0.5, position_nm=(0, 0, 0),
        frame_index=0, channel=LED,
    )  # fmt: skip
    light = SideLight(sine=SINE, material=MATERIALS[material]).transmitted(
        section(), OPTICS, exposure, height_px=SHAPE[0], width_px=SHAPE[1]
    )
    return np.random.default_rng(1).poisson(4000 * light).astype(np.uint16)


@pytest.mark.parametrize("backend", backends())
def test_it_tells_height_and_side(backend: Backend) -> None:
    network = regressor_of(ModelsSection(backend=backend), "focus-both")
    for z_um in (-17.0, 9.0):
        told = network.measure(seen("amplitude", z_um))
        assert told.z_um == pytest.approx(z_um, abs=DEPTH_UM / 2)
        assert told.sigma_um < DEPTH_UM
        assert not told.doubt


@pytest.mark.slow
@pytest.mark.parametrize("material", MATERIALS)
def test_where_a_loop_can_use_it_it_is_right_to_half_a_depth_of_field(material: str) -> None:
    network = regressor_of(ModelsSection(), "focus-both")
    rng = np.random.default_rng(5)
    found = []
    for _ in range(16):
        z_um = float(rng.uniform(-5, 5)) * DEPTH_UM
        centre_um = (float(rng.uniform(-250, 150)), float(rng.uniform(-200, 200)))
        told = network.measure(seen(material, z_um, centre_um=centre_um))
        found.append((z_um, told.z_um, told.sigma_um))
    true, said, sigma = np.array(found).T
    sure = sigma <= DEPTH_UM / 4
    assert sure.mean() >= 0.4
    assert np.abs(said - true)[sure].max() <= DEPTH_UM / 2
    far = sure & (np.abs(true) > DEPTH_UM)
    assert np.array_equal(np.sign(said[far]), np.sign(true[far]))


@pytest.mark.parametrize(
    ("what", "value"),
    [("na", 0.5), ("pixel_size_um", 0.25), ("sine", 0.3), ("wavelength_um", 0.63)],
)
def test_other_optics_are_refused_by_name(what: str, value: float) -> None:
    right = {"na": 0.3, "wavelength_um": 0.53, "pixel_size_um": 0.5, "sine": SINE}
    network = regressor_of(ModelsSection(), "focus-both")
    network.refuse_others(**right)
    with pytest.raises(ModelRefused, match=r"focus-both .* was not trained for this"):
        network.refuse_others(**{**right, what: value})
