"""useq sequences: what useq itself would visit is planned, or the field that cannot be is named."""

import re

import numpy as np
import pytest
import useq
import yaml

from runtime.config.plan_file import load_plan, parse_plan
from runtime.config.sequence_tiles import field_um, sequence_tiles
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused
from tests.simulated import SIMULATED

FIELD_UM = (256.0, 224.0)
GRID = {"rows": 2, "columns": 3, "fov_width": 256, "fov_height": 224, "overlap": 15}
BARE = {"rows": 2, "columns": 2, "overlap": [10, 20]}
EDGES = {"top": 300, "bottom": -250, "left": -400, "right": 420, "overlap": 10}
POLYGON = {"vertices": [[0, 0], [900, 100], [700, 800], [100, 650]], "overlap": 10}
FAR = [{"x": 0, "y": 0}, {"x": 3000, "y": -2000}]
PLATE = {"plate": "96-well", "a1_center_xy": [100, 200], "selected_wells": [[0, 1], [0, 2]]}


def at(*xyz, **more):
    return dict(zip("xyz", xyz, strict=False)) | more


TAKEN = {
    "rows and columns": {"grid_plan": GRID},
    "no field of view": {"grid_plan": BARE},
    "gaps": {"grid_plan": BARE | {"overlap": [-50, -50]}},
    "from its top left": {"grid_plan": GRID | {"relative_to": "top_left"}},
    "about a position": {"grid_plan": GRID, "stage_positions": [at(10, 20)]},
    "about a height": {"grid_plan": GRID, "stage_positions": [at(10, 20, 25)]},
    "about a height alone": {"grid_plan": BARE, "stage_positions": [{"z": 12.5}]},
    "row by row": {"grid_plan": GRID | {"mode": "row_wise"}},
    "column by column": {"grid_plan": GRID | {"mode": "column_wise"}},
    "columns to and fro": {"grid_plan": GRID | {"mode": "column_wise_snake"}},
    "spiral": {"grid_plan": BARE | {"rows": 4, "columns": 5, "mode": "spiral"}},
    "edges": {"grid_plan": EDGES},
    "edges, with a field of view": {"grid_plan": EDGES | {"fov_width": 200, "fov_height": 150}},
    "edges of one tile": {"grid_plan": {"top": 9, "bottom": -9, "left": -9, "right": 9}},
    "edges, the wrong way round": {"grid_plan": EDGES | {"top": -250, "bottom": 300}},
    "width and height": {"grid_plan": {"width": 700, "height": 500}},
    "width and height, top left": {
        "grid_plan": {"width": 700, "height": 500, "overlap": 5, "relative_to": "top_left"}
    },
    "polygon": {"grid_plan": POLYGON},
    "polygon, its hull widened": {
        "grid_plan": POLYGON | {"convex_hull": True, "offset": 60, "mode": "spiral"}
    },
    "positions": {"stage_positions": [at(0, 0), at(500, 100), at(-300, 700)]},
    "positions with heights": {"stage_positions": [at(0, 0, 3), at(500, 100, -4.5)]},
    "named positions": {
        "stage_positions": [at(0, 0, name="liver"), at(900, 0, name="kidney")],
        "grid_plan": GRID,
    },
    "two areas": {"stage_positions": FAR, "grid_plan": GRID},
    "p within g": {"stage_positions": FAR, "grid_plan": GRID, "axis_order": "tgpcz"},
    "a sub-sequence's grid": {"stage_positions": [at(100, 0, sequence={"grid_plan": GRID})]},
    "a grid of its own for each": {
        "stage_positions": [
            at(0, 0, sequence={"grid_plan": GRID}),
            at(4000, 0, sequence={"grid_plan": BARE}),
            at(sequence={"grid_plan": EDGES | {"top": 5000, "bottom": 4500}}),
            at(-3000, 900),
        ]
    },
    "a grid for all but one": {
        "stage_positions": [at(0, 0), at(4000, 0, sequence={"grid_plan": BARE})],
        "grid_plan": GRID,
    },
    "an absolute grid, and one of its own": {
        "stage_positions": [{}, at(4000, 0, 0, sequence={"grid_plan": BARE})][1:],
        "grid_plan": EDGES,
    },
    "wells": {"stage_positions": PLATE},
    "wells of a turned plate": {"stage_positions": PLATE | {"rotation": 5}},
    "one well": {"stage_positions": PLATE | {"selected_wells": [[3], [4]]}},
    "a grid in each well": {"stage_positions": PLATE | {"well_points_plan": GRID}},
    "a grid in each well, no field of view": {
        "stage_positions": PLATE | {"well_points_plan": BARE}
    },
    "a place in each well": {"stage_positions": PLATE | {"well_points_plan": at(50, -60, 7.0)}},
    "a grid plan at every well": {"stage_positions": PLATE, "grid_plan": GRID},
    "a plate by its numbers": {
        "stage_positions": PLATE
        | {"plate": {"rows": 2, "columns": 3, "well_spacing": [5, 4], "well_size": 3}}
    },
    "one channel": {"grid_plan": GRID, "channels": [{"config": "led_left", "exposure": 25}]},
    "one channel, by name": {"grid_plan": GRID, "channels": ["led_left"]},
    "a channel offset": {
        "stage_positions": [at(0, 0, 5)],
        "channels": [{"config": "brightfield", "z_offset": 2}],
    },
    "a sub-sequence's channel": {
        "stage_positions": [at(0, 0, sequence={"channels": ["led_left"]})],
        "channels": ["brightfield"],
    },
    "one plane": {"grid_plan": GRID, "z_plan": {"top": 9, "bottom": 9, "step": 1}},
    "focus at every tile": {
        "grid_plan": GRID,
        "stage_positions": [at(0, 0, 4)],
        "autofocus_plan": {"axes": ["p", "g"]},
    },
}


def of_useq(values):
    """Return what useq itself visits, once every grid says how large a frame is."""
    sequence = useq.MDASequence.model_validate(seen(values))
    return [event for event in sequence if isinstance(event.action, useq.AcquireImage)]


def seen(values):
    """Return values with the field of view in every grid that has none, as an engine does it."""
    if isinstance(values, list | tuple):
        return type(values)(seen(value) for value in values)
    if not isinstance(values, dict):
        return values
    inner = {key: seen(value) for key, value in values.items()}
    if {"overlap", "width", "top", "vertices"}.isdisjoint(inner):
        return inner
    return {"fov_width": FIELD_UM[0], "fov_height": FIELD_UM[1]} | inner


@pytest.mark.parametrize("case", TAKEN)
def test_what_useq_visits_is_planned(case, tmp_path):
    (tmp_path / "night.yaml").write_text(yaml.safe_dump(TAKEN[case]))
    plan = load_plan(tmp_path / "night.yaml")
    tiles = sequence_tiles(plan.sequence, field_um=FIELD_UM)
    events = of_useq(TAKEN[case])
    assert [(t.x_um, t.y_um) for t in tiles] == [(e.x_pos, e.y_pos) for e in events]
    assert len({t.tile_id for t in tiles}) == len({(t.row, t.column) for t in tiles}) == len(tiles)
    assert all(re.fullmatch(r"[A-Za-z0-9_\-]{1,64}", t.tile_id) for t in tiles)
    assert [t.index for t in tiles] == list(range(len(tiles)))
    for tile, event in zip(tiles, events, strict=True):
        z_um = plan.focus.start_z_um if tile.z_um is None else tile.z_um
        assert z_um == (event.z_pos or 0.0)
        assert plan.light == (event.channel.config if event.channel else "brightfield")
        assert plan.exposure_ms == (event.exposure or 10.0)


def focus(**told):
    return {"metadata": {"nightscope": {"focus": told}}}


GRID_AT = {"grid_plan": GRID, "stage_positions": [at(0, 0, 5)]}
REFUSED = {
    "time": ({"time_plan": {"interval": 1, "loops": 2}}, "'time_plan' asks for what a scan"),
    "time of one loop": ({"time_plan": {"interval": 1, "loops": 1}}, "'time_plan'"),
    "time in a sub-sequence": (
        {"stage_positions": [at(0, 0, sequence={"time_plan": {"interval": 1, "loops": 2}})]},
        r"'stage_positions\.0\.sequence\.time_plan'",
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
    "several channels": ({"grid_plan": GRID, "channels": ["a", "b"]}, "'channels'"),
    "a z-plan": ({"grid_plan": GRID, "z_plan": {"range": 4, "step": 1}}, "'z_plan'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_its_name(case):
    values, message = REFUSED[case]
    with pytest.raises(ConfigRefused, match=message) as refused:
        parse_plan(values, source="night.yaml")
    assert str(refused.value).startswith("night.yaml: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_one_place_is_not_visited_twice():
    plan = parse_plan({"stage_positions": [at(0, 0, 1), at(300, 0, 1), at(5, 5, 2)]}, source="n")
    with pytest.raises(ConfigRefused, match=r"visits one place twice.*tiles 0 and 2"):
        sequence_tiles(plan.sequence, field_um=FIELD_UM)


def test_a_sequence_too_long_for_the_camera_is_refused_when_it_is_known():
    edges = {"top": 1e6, "bottom": 0, "left": 0, "right": 1e6}
    plan = parse_plan({"grid_plan": edges}, source="n")
    with pytest.raises(ConfigRefused, match="frames; limit 200000"):
        sequence_tiles(plan.sequence, field_um=FIELD_UM)


def test_a_sequence_has_what_its_metadata_says():
    own = {"objective": "20x", "name": "from useq", "model": "mussel-tissue"}
    values = {"grid_plan": GRID, "metadata": {"nightscope": own, "napari": {"colour": 5}}}
    plan = parse_plan(values, source="night.yaml")
    assert (plan.objective, plan.name, plan.model) == ("20x", "from useq", "mussel-tissue")


def test_without_metadata_it_has_the_lowest_objective_and_says_so(tmp_path):
    plan = parse_plan({"grid_plan": GRID}, source="night.yaml")
    on = plan.on(parse_settings(SIMULATED, source=tmp_path / "settings.toml"))
    assert (on.name, on.objective) == ("night", "10x")
    assert on.assumed[0] == "objective 10x, that of the lowest magnification"


@pytest.mark.parametrize(
    ("values", "policy", "said"),
    [
        ({"grid_plan": GRID}, "surface", "the surface so far will not do, from z 0 µm"),
        (GRID_AT, "fixed", "no focus is sought: every tile is taken at the z of the sequence"),
        (GRID_AT | focus(policy="surface"), "surface", "not do, from the z of the sequence"),
        (TAKEN["focus at every tile"], "every-tile", "sought at every tile, from the z of the"),
        ({"stage_positions": PLATE}, "surface", "from z 0 µm"),
    ],
)
def test_focus_is_kept_as_the_sequence_asks_and_in_words(values, policy, said):
    plan = parse_plan(values, source="night.yaml")
    assert plan.focus.policy == policy
    assert said in plan.assumed[-1]


def test_a_plan_may_hold_a_sequence_beside_what_is_its_own():
    plan = parse_plan(
        {"name": "p", "objective": "10x", "sequence": {"grid_plan": GRID}}, source="plan.yaml"
    )
    assert len(sequence_tiles(plan.sequence, field_um=FIELD_UM)) == 6
    with pytest.raises(ConfigRefused, match=r"plan.yaml: unknown key 'grid_plan\.cols'"):
        wrong = {"name": "p", "objective": "10x", "sequence": {"grid_plan": {"cols": 1}}}
        parse_plan(wrong, source="plan.yaml")


@pytest.mark.parametrize(
    ("matrix", "field"),
    [
        ([[0.5, 0.02], [-0.02, -0.5]], (256.2, 224.2)),
        ([[0.0, 0.5], [-0.5, 0.0]], (224.0, 256.0)),
    ],
)
def test_the_field_lies_along_the_stage_as_the_camera_is_turned(matrix, field):
    found = field_um(np.array(matrix), width_px=512, height_px=448)
    assert found == pytest.approx(field, abs=0.05)


def test_tiles_are_neighbours_where_they_touch():
    two = {"stage_positions": FAR, "grid_plan": GRID}
    tiles = sequence_tiles(two, field_um=FIELD_UM)
    places = {(tile.row, tile.column): tile.tile_id for tile in tiles}
    assert places[(0, 0)] == "p000_r000_c000"
    assert [row for row, _ in places] == [0] * 3 + [1] * 3 + [3] * 3 + [4] * 3
    apart = sequence_tiles({"grid_plan": BARE | {"overlap": -50}}, field_um=FIELD_UM)
    assert {(tile.row, tile.column) for tile in apart} == {(0, 0), (0, 2), (2, 0), (2, 2)}
