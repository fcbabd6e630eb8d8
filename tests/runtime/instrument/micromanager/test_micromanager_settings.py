"""The section [micromanager] refuses what cannot be meant."""

import pytest

from runtime.config.micromanager_settings import MicroManager
from runtime.errors import ConfigRefused

GOOD = {
    "config": "scope.cfg",
    "limits": {"x_um": [0, 100], "y_um": [0, 100], "z_um": [-5, 5]},
    "lights": {"white": {"shutter": "White", "level": "Lamp.Level", "choose": {"W.Label": "x"}}},
}


def test_a_whole_section_is_read():
    section = MicroManager.read({**GOOD, "keeps_origin": ["z"]}, source="a.toml")
    assert section.limits.z_um == (-5.0, 5.0)
    assert section.lights["white"].level == "Lamp.Level"
    assert section.keeps_origin == {"z"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"limits": {**GOOD["limits"], "x_um": [100, 0]}}, r"x_um must be \[lowest, highest\]"),
        ({"limits": {**GOOD["limits"], "x_um": [0, float("inf")]}}, "finite"),
        ({"lights": {}}, "at least 1"),
        ({"lights": {"white": {"shutter": "White", "level": "Lamp"}}}, "level"),
        ({"keeps_origin": ["q"]}, "keeps_origin"),
        ({"confg": "scope.cfg"}, "did you mean 'config'"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, named):
    with pytest.raises(ConfigRefused, match=named):
        MicroManager.read({**GOOD, **change}, source="a.toml")
