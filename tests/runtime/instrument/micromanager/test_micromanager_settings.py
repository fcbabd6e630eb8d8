"""What Micro-Manager's ports do not say of themselves is refused where it cannot be meant."""

import pytest

from runtime.config.micromanager_settings import (
    MicroManagerLightSection,
    MicroManagerSection,
    MicroManagerStageSection,
)
from runtime.errors import ConfigRefused

TRAVEL = {"x_um": [0, 100], "y_um": [0, 100], "z_um": [-5, 5]}
STAGE = {"driver": "micromanager", "limits": TRAVEL}
WHITE = {"shutter": "White", "level": "Lamp.Level", "choose": {"W.Label": "x"}}


def test_whole_sections_are_read():
    stage = MicroManagerStageSection.read({**STAGE, "keeps_origin": ["z"]}, source="a.toml")
    assert stage.limits.z_um == (-5.0, 5.0)
    assert stage.keeps_origin == {"z"}
    light = {"driver": "micromanager", "channels": {"white": WHITE}}
    assert MicroManagerLightSection.read(light, source="a").channels["white"].level == "Lamp.Level"


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        (
            MicroManagerStageSection,
            {**STAGE, "limits": {**TRAVEL, "x_um": [100, 0]}},
            r"'limits': x_um must be \[lowest, highest\]",
        ),
        (
            MicroManagerStageSection,
            {**STAGE, "limits": {**TRAVEL, "x_um": [0, float("inf")]}},
            "finite",
        ),
        (MicroManagerStageSection, {**STAGE, "keeps_origin": ["q"]}, "keeps_origin"),
        (MicroManagerLightSection, {"driver": "micromanager", "channels": {}}, "at least 1"),
        (
            MicroManagerLightSection,
            {"driver": "micromanager", "channels": {"white": {**WHITE, "level": "Lamp"}}},
            "level",
        ),
        (MicroManagerSection, {"confg": "scope.cfg"}, "did you mean 'config'"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, values, named):
    with pytest.raises(ConfigRefused, match=named):
        section.read(values, source="a.toml")
