"""What a useq sequence asks for that no scan does: refused, and the field is named."""

import pytest

from runtime.config.plan_file import parse_plan
from runtime.errors import ConfigRefused
from tests.runtime.config.test_useq import (
    ABSOLUTE,
    EDGES,
    GRID,
    GRID_AT,
    PLATE,
    STACK,
    at,
    focus,
    main,
)

REFUSED = {
    "time": ({"time_plan": {"interval": 1, "loops": 2}}, "'time_plan' asks for what a scan"),
    "time of one loop": ({"time_plan": {"interval": 1, "loops": 1}}, "'time_plan'"),
    "time in a sub-sequence": (
        {"stage_positions": [at(0, 0, sequence={"time_plan": {"interval": 1, "loops": 2}})]},
        r"'stage_positions\.0\.sequence\.time_plan'",
    ),
    "overlap without end": (
        {"grid_plan": {"rows": 3, "columns": 4, "overlap": ["-inf", 10]}},
        "places that are no numbers",
    ),
    "random points": ({"grid_plan": {"num_points": 4}}, "'grid_plan' .*points by chance"),
    "random points in wells": (
        {"stage_positions": PLATE | {"well_points_plan": {"num_points": 3, "random_seed": 1}}},
        r"'stage_positions\.well_points_plan' .*points by chance",
    ),
    "random points in a sub-sequence": (
        {"stage_positions": [at(0, 0), at(9, 9, sequence={"grid_plan": {"num_points": 4}})]},
        r"'stage_positions\.1\.sequence\.grid_plan'",
    ),
    "setup": ({"grid_plan": GRID, "setup": {"exposure": 5}}, "'setup'"),
    "an open shutter": ({"grid_plan": GRID, "keep_shutter_open_across": ["z"]}, "'keep_shutter"),
    "properties": (
        {"stage_positions": [at(0, 0, properties=[["Camera", "Gain", 2]])]},
        r"'stage_positions\.0\.properties'",
    ),
    "a camera": (
        {"grid_plan": GRID, "channels": [{"config": "a", "camera": "Second"}]},
        r"'channels\.0\.camera'",
    ),
    "a group": (
        {"grid_plan": GRID, "channels": [{"config": "a", "group": "Filters"}]},
        r"'channels\.0\.group'",
    ),
    "autofocus of a device": (
        GRID_AT | {"autofocus_plan": {"axes": ["g"], "autofocus_device_name": "PFS"}},
        r"'autofocus_plan\.autofocus_device_name'",
    ),
    "autofocus by an offset": (
        GRID_AT | {"autofocus_plan": {"axes": ["g"], "autofocus_motor_offset": 12}},
        r"'autofocus_plan\.autofocus_motor_offset'",
    ),
    "autofocus at positions only": (
        GRID_AT | {"autofocus_plan": {"axes": ["p"]}},
        "'autofocus_plan' asks for focus at some tiles only",
    ),
    "autofocus and a fixed focus": (
        GRID_AT | {"autofocus_plan": {"axes": ["g"]}} | focus(policy="fixed"),
        "'autofocus_plan' and focus policy 'fixed'",
    ),
    "an unknown key": ({"grid_plan": {"rows": 2, "cols": 2}}, "'grid_plan.cols'.*'columns'"),
    "an unknown field": ({"grid_plan": GRID, "channel": ["a"]}, "'channel'.*'channels'"),
    "an unknown key of a position": (
        {"stage_positions": [at(0, 0, z_plan={"range": 2, "step": 1})]},
        r"unknown key 'stage_positions\.0\.z_plan'",
    ),
    "an unknown key of a well plate": (
        {"stage_positions": PLATE | {"rotatoin": 5}},
        r"'stage_positions\.rotatoin'.*'rotation'",
    ),
    "a key missing": ({"grid_plan": {"rows": 2}}, "'grid_plan.columns': field required"),
    "rows below one": ({"grid_plan": {"rows": -1, "columns": 2}}, "'grid_plan.rows': .*than or eq"),
    "half a z-plan": ({"grid_plan": GRID, "z_plan": {"range": 4}}, "'z_plan.step': field req"),
    "an overlap of all": ({"grid_plan": EDGES | {"overlap": 100}}, "'grid_plan' holds nothing"),
    "a field of view of nothing": ({"grid_plan": GRID | {"fov_width": 0}}, "'grid_plan' holds"),
    "no wells": ({"stage_positions": PLATE | {"selected_wells": None}}, "'stage_positions' holds"),
    "no number": ({"grid_plan": EDGES | {"top": float("nan")}}, "'grid_plan.top' is nan"),
    "no end": ({"grid_plan": GRID | {"rows": 10**30}}, "'grid_plan.rows' is 100000000…"),
    "too many": ({"grid_plan": GRID | {"rows": 10**5, "columns": 10**4}}, "has 1000000000 frames"),
    "too many heights": ({"grid_plan": GRID, "z_plan": {"range": 9, "step": 1e-6}}, "frames"),
    "too many wells": (
        {"stage_positions": PLATE | {"plate": {"rows": 10**6, "columns": 10**6}}},
        r"'stage_positions\.plate' has 1000000000000 wells",
    ),
    "an unknown plate": ({"stage_positions": PLATE | {"plate": "97-well"}}, "'stage_positions"),
    "a crossed polygon": (
        {"grid_plan": {"vertices": [[0, 0], [9, 9], [9, 0], [0, 9]]}},
        r"'grid_plan\.vertices'",
    ),
    "channels that are none": ({"grid_plan": GRID, "channels": [5]}, "'channels'"),
    "positions as lists": ({"stage_positions": [[0, 0, 3]]}, r"'stage_positions': cannot coerce"),
    "positions that are none": ({"stage_positions": 5}, "'stage_positions'"),
    "an unknown axis": ({"grid_plan": GRID, "axis_order": "xyz"}, "'axis_order'"),
    "no place at all": ({"channels": ["brightfield"]}, "'grid_plan' names no place"),
    "a position without a place": ({"stage_positions": [at(0, 0), {"z": 4}]}, r"positions\.1'"),
    "a place without y": ({"stage_positions": [{"x": 4}]}, r"'stage_positions\.0' names no place"),
    "a place that a grid ignores": (
        {"stage_positions": [at(9, 9)], "grid_plan": EDGES},
        "'grid_plan': useq would ignore",
    ),
    "channels outside of places": (
        {"grid_plan": GRID, "channels": ["a", "b"], "axis_order": "tcpgz"},
        "'axis_order' comes back to a place",
    ),
    "a height for some": ({"stage_positions": [at(0, 0, 1), at(9, 9)]}, "'stage_positions' give"),
    "heights under one surface": (
        {"stage_positions": [at(0, 0, 1), at(900, 9, 2)]} | focus(policy="surface"),
        "'stage_positions' have several heights",
    ),
    "two heights to start from": (
        GRID_AT | focus(policy="surface", start_z_um=4),
        "'focus.start_z_um' and the z",
    ),
    "no section": ({"grid_plan": GRID, "metadata": {"nightscope": "10x"}}, "metadata.nightscope"),
    "a mistyped section": (
        {"grid_plan": GRID, "metadata": {"nightscope": {"objectiv": "10x"}}},
        "'objectiv'.*'objective'",
    ),
    "no exposure to speak of": (
        {"grid_plan": GRID, "channels": [{"config": "a", "exposure": 1e-9}]},
        "'channels' ask for an exposure out of range; value 1e-09 ms",
    ),
    "a hundred days of exposure": (
        {"grid_plan": GRID, "channels": ["a", {"config": "b", "exposure": 9e8}]},
        "'channels' ask for an exposure out of range; value 9e.08 ms",
    ),
    "one frame twice": ({"grid_plan": GRID, "channels": ["a", "a"]}, "'channels' and 'z_plan'"),
    "absolute heights under a sought focus": (
        {"grid_plan": GRID, "z_plan": ABSOLUTE} | focus(policy="surface"),
        "'z_plan' is absolute",
    ),
    "absolute heights of a position under a sought focus": (
        {"stage_positions": [at(0, 0, sequence={"z_plan": ABSOLUTE})]} | focus(policy="surface"),
        r"'stage_positions\.0\.sequence\.z_plan' is absolute",
    ),
    "lights that begin with others": (
        {
            "stage_positions": [at(0, 0), at(900, 0, sequence={"channels": ["b", "a"]})],
            "channels": ["a"],
        },
        "'channels' of 'stage_positions' begin with several lights",
    ),
    "a light that is not there": (
        {"grid_plan": GRID, "channels": ["a", "b"]} | main(light="c"),
        "'main.light'; value c; limit a, b",
    ),
    "a height that is not there": (
        {"grid_plan": GRID, "z_plan": STACK} | main(z_um=7),
        "'main.z_um'; value 7 µm; limit -2, -1, 0, 1, 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_its_name(case):
    values, message = REFUSED[case]
    with pytest.raises(ConfigRefused, match=message) as refused:
        parse_plan(values, source="night.yaml")
    assert str(refused.value).startswith("night.yaml: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
