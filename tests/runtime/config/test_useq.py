"""useq sequences: what useq itself would visit is planned, or the field that cannot be is named."""

import re

import numpy as np
import pytest
import useq
import yaml

from runtime.config.plan import PlannedFrame
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
LIGHTS = ["brightfield", {"config": "led_left", "exposure": 30}, "led_right"]
STACK = {"range": 4, "step": 1}
ABSOLUTE = {"bottom": 2, "top": 5, "step": 1}
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
    "three channels": {"grid_plan": GRID, "channels": LIGHTS},
    "exposures for some": {"grid_plan": GRID, "channels": LIGHTS[1:]},
    "a z-plan": {"grid_plan": GRID, "z_plan": STACK},
    "a z-plan, downwards": {"grid_plan": GRID, "z_plan": STACK | {"go_up": False}},
    "a z-plan about heights": {"stage_positions": [at(0, 0, 5), at(900, 0, 8)], "z_plan": STACK},
    "a z-plan of even steps": {"grid_plan": BARE, "z_plan": {"range": 3, "step": 1}},
    "above and below": {"grid_plan": GRID, "z_plan": {"above": 4, "below": 2, "step": 1.5}},
    "relative heights": {"grid_plan": GRID, "z_plan": {"relative": [0, 0.5, 5]}},
    "one height above": {"stage_positions": [at(0, 0, 5)], "z_plan": {"relative": [3]}},
    "absolute heights": {"grid_plan": GRID, "z_plan": ABSOLUTE},
    "listed heights": {"grid_plan": GRID, "z_plan": {"absolute": [-3, 0.5, 9]}},
    "channels and heights": {"grid_plan": GRID, "channels": LIGHTS, "z_plan": STACK},
    "heights before channels": {
        "grid_plan": GRID,
        "channels": LIGHTS,
        "z_plan": STACK,
        "axis_order": "tpgzc",
    },
    "channels and heights in wells": {
        "stage_positions": PLATE | {"well_points_plan": BARE},
        "channels": LIGHTS,
        "z_plan": STACK,
    },
    "a channel of one height": {
        "grid_plan": GRID,
        "channels": [*LIGHTS, {"config": "led_top", "do_stack": False}],
        "z_plan": STACK,
    },
    "channels at heights of their own": {
        "grid_plan": GRID,
        "channels": ["brightfield", {"config": "led_left", "z_offset": 0.4}],
        "z_plan": STACK,
    },
    "a z-plan of one position": {
        "stage_positions": [at(0, 0, 5), at(900, 0, 6, sequence={"z_plan": STACK})],
        "channels": LIGHTS,
    },
    "absolute heights of one position": {
        "stage_positions": [at(0, 0, 5), at(900, 0, 6, sequence={"z_plan": ABSOLUTE})]
    },
    "grid and heights of one position": {
        "stage_positions": [
            at(0, 0, 5),
            at(2000, 0, 6, sequence={"grid_plan": BARE, "z_plan": STACK}),
        ],
        "z_plan": {"relative": [0, 3]},
    },
    "more channels for one position": {
        "stage_positions": [at(0, 0), at(900, 0, sequence={"channels": LIGHTS})],
        "channels": ["brightfield"],
    },
    "an exposure of one position's own": {
        "stage_positions": [
            at(0, 0),
            at(900, 0, sequence={"channels": [{"config": "brightfield", "exposure": 4}]}),
        ],
        "channels": ["brightfield"],
    },
    "focus before every stack": {
        "grid_plan": GRID,
        "z_plan": STACK,
        "autofocus_plan": {"axes": ["p", "g"]},
    },
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
    tiles = sequence_tiles(plan, field_um=FIELD_UM)
    events = of_useq(TAKEN[case])
    planned = [frame for tile in tiles for frame in frames(plan, tile)]
    assert planned == [
        (
            event.x_pos,
            event.y_pos,
            pytest.approx(event.z_pos or 0.0),
            event.channel.config if event.channel else "brightfield",
            event.exposure or 10.0,
        )
        for event in events
    ]
    assert len({t.tile_id for t in tiles}) == len({(t.row, t.column) for t in tiles}) == len(tiles)
    assert all(re.fullmatch(r"[A-Za-z0-9_\-]{1,64}", t.tile_id) for t in tiles)
    assert [t.index for t in tiles] == list(range(len(tiles)))


def frames(plan, tile):
    """Return (x, y, z, light, exposure) of every frame planned for a tile."""
    own_um = plan.focus.start_z_um if tile.z_um is None else tile.z_um
    plain = (PlannedFrame(light=plan.light, exposure_ms=plan.exposure_ms, above_um=0.0),)
    return [
        (tile.x_um, tile.y_um, own_um + frame.above_um, frame.light, frame.exposure_ms)
        for frame in tile.frames or plain
    ]


def main(**told):
    return {"metadata": {"nightscope": {"main": told}}}


def focus(**told):
    return {"metadata": {"nightscope": {"focus": told}}}


GRID_AT = {"grid_plan": GRID, "stage_positions": [at(0, 0, 5)]}


def test_one_place_is_not_visited_twice():
    plan = parse_plan({"stage_positions": [at(0, 0, 1), at(300, 0, 1), at(5, 5, 2)]}, source="n")
    with pytest.raises(ConfigRefused, match=r"visits one place twice.*tiles 0 and 2"):
        sequence_tiles(plan, field_um=FIELD_UM)


def test_a_sequence_too_long_for_the_camera_is_refused_when_it_is_known():
    edges = {"top": 1e6, "bottom": 0, "left": 0, "right": 1e6}
    plan = parse_plan({"grid_plan": edges}, source="n")
    with pytest.raises(ConfigRefused, match="frames; limit 200000"):
        sequence_tiles(plan, field_um=FIELD_UM)


def test_a_sequence_has_what_its_metadata_says():
    own = {"objective": "20x", "name": "from useq", "model": "mussel-tissue"}
    values = {"grid_plan": GRID, "metadata": {"nightscope": own, "napari": {"colour": 5}}}
    plan = parse_plan(values, source="night.yaml")
    assert (plan.objective, plan.name, plan.model) == ("20x", "from useq", "mussel-tissue")


@pytest.mark.parametrize(
    ("told", "light", "above_um"),
    [
        ({}, "brightfield", 0.0),
        ({"light": "led_right"}, "led_right", 0.0),
        ({"light": "led_left", "z_um": -2}, "led_left", -2.0),
    ],
)
def test_the_frame_that_the_plan_names_is_the_main_one(told, light, above_um):
    values = {"grid_plan": GRID, "channels": LIGHTS, "z_plan": STACK} | main(**told)
    plan = parse_plan(values, source="n")
    stack = sequence_tiles(plan, field_um=FIELD_UM)[0].stack
    named = stack.frames[stack.main]
    assert (named.light, named.above_um, plan.light) == (light, above_um, light)
    assert f"of up to 15 frames a tile, about its z, the one in {light}" in plan.assumed[-1]


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
    assert len(sequence_tiles(plan, field_um=FIELD_UM)) == 6
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
    tiles = sequence_tiles(parse_plan(two, source="n"), field_um=FIELD_UM)
    places = {(tile.row, tile.column): tile.tile_id for tile in tiles}
    assert places[(0, 0)] == "p000_r000_c000"
    assert [row for row, _ in places] == [0] * 3 + [1] * 3 + [3] * 3 + [4] * 3
    gaps = parse_plan({"grid_plan": BARE | {"overlap": -50}}, source="n")
    apart = sequence_tiles(gaps, field_um=FIELD_UM)
    assert {(tile.row, tile.column) for tile in apart} == {(0, 0), (0, 2), (2, 0), (2, 2)}
