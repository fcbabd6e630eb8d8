"""What one place of the map shows: turned and bent tiles, cuts, tones, and what lies underneath."""

from itertools import pairwise

import numpy as np
import pytest

from runtime.distortion import Distortion, exponents
from runtime.stitch.map.cuts import FEATHER_PX, SeamCut, costs, least_paths
from runtime.stitch.map.gains import Tone, field, solve_shaded, solve_tones
from runtime.stitch.map.overlaps import look_into, nearby, neighbours
from runtime.stitch.map.render import Layer, Style, draw
from runtime.stitch.map.warp import Warp
from runtime.tile import Placement
from tests.runtime.stitch.stitch_scans import SHAPE_PX, cut, exposed, scan, section, specimen

BOX = (420, 420, 560, 540)


def bend(strength_px):
    """Return a distortion with every term of the second and third order."""
    count = len(exponents(3))
    strength = strength_px * np.random.default_rng(3).choice([-0.5, 0.5], (count, 2))
    return Distortion(SHAPE_PX, 3, strength)


def place(name, x_px, y_px, theta_rad=0.0, flag=""):
    return Placement(tile_id=name, x_px=x_px, y_px=y_px, theta_rad=theta_rad, flag=flag)


def drawn(tiles, *, cuts=None, box_px=BOX, distortion=None, shading=None):
    """Draw (place, pixels), the lowest first."""
    style = Style(Warp(SHAPE_PX, distortion), np.uint16, shading)
    layers = [Layer(pixels, at, Tone()) for at, pixels in tiles]
    return draw(layers, (cuts or {}).get, box_px=box_px, style=style).astype(np.float64)


def rms_off_the_section(image, box_px=BOX):
    x0, y0, x1, y1 = box_px
    return float(np.sqrt(np.mean((image / 16 - specimen()[y0:y1, x0:x1]) ** 2)))


@pytest.mark.parametrize("theta_deg", [0.0, 0.5, -5.0])
@pytest.mark.parametrize("strength_px", [0.0, 5.0])
def test_a_turned_and_bent_tile_comes_out_straight(theta_deg, strength_px):
    distortion = bend(strength_px) if strength_px else None
    at = place("a", 390.3, 400.7, np.radians(theta_deg))
    pixels = exposed(at, distortion)
    right = rms_off_the_section(drawn([(at, pixels)], distortion=distortion))
    assert right < 4.0
    if theta_deg or strength_px:
        straight = place("a", at.x_px, at.y_px)
        assert rms_off_the_section(drawn([(straight, pixels)])) > 2 * right


def test_a_tile_that_is_only_moved_comes_out_as_by_the_general_way():
    """The fast way is a filter with the same weights everywhere; compare it with a slight turn."""
    at, pixels = place("a", 400.37, 411.81), exposed(place("a", 400.37, 411.81))
    turned = place("a", 400.37, 411.81, 2e-6)
    fast, general = drawn([(at, pixels)]), drawn([(turned, pixels)])
    # OpenCV's cubic kernel is a sharper one, so they agree but for fine detail.
    assert np.abs(fast - general).mean() < 0.02 * fast.std()


def test_what_no_tile_covers_is_nought_and_its_rim_is_not_washed_out():
    at = place("a", 450.0, 450.0)
    image = drawn([(at, np.full(SHAPE_PX, 1000, np.uint16))])
    assert not image[:30].any()
    assert not image[:, :30].any()
    assert (image[30:, 30:] == 1000).all()


def test_no_edge_shows_twice_where_tiles_disagree():
    """The right tile lies 6 px too far up; still every place shows one tile or the other."""
    left, right = place("a", 200.0, 400.0), place("b", 400.0, 400.0)
    wrong = exposed(place("b", 400.0, 406.0))
    tiles = [(left, exposed(left)), (right, wrong)]
    (overlap,) = look_into([(left, right)], {"a": tiles[0][1], "b": wrong}.get, Warp(SHAPE_PX))
    box = (400, 404, 456, 620)
    shown = drawn(tiles, cuts={("a", "b"): overlap.cut}, box_px=box)
    alone = [drawn([tile], box_px=box) for tile in tiles]
    either = np.minimum(*(np.abs(shown - each) for each in alone)) < 1
    # The blend is as wide as the feather, everywhere along the cut.
    assert (~either).sum(axis=1).max() <= FEATHER_PX * np.sqrt(2) + 1
    assert either[:, 0].all()
    assert either[:, -1].all()


def test_the_cut_avoids_what_the_tiles_do_not_share():
    """A dark speck in one of two tiles: the path goes round it, and it is shown whole or not."""
    left, right = place("a", 200.0, 400.0), place("b", 400.0, 400.0)
    one, two = exposed(left), exposed(right)
    two[100:120, 20:34] = 0  # in the middle of the overlap, which is 56 px wide
    (overlap,) = look_into([(left, right)], {"a": one, "b": two}.get, Warp(SHAPE_PX))
    path = (np.array(overlap.cut.cells)[13:15] + 0.5) * 4
    assert (np.abs(path - 27) > 7).all()


def test_paths_are_the_cheapest_that_do_not_turn_back():
    rng = np.random.default_rng(1)
    of = [rng.uniform(0, 1, shape) for shape in ((9, 5), (12, 4), (3, 7))]
    for cost, path in zip(of, least_paths(of), strict=True):
        best = cost[0]
        for row in cost[1:]:
            near = [best[max(i - 2, 0) : i + 3].min() for i in range(len(row))]
            best = row + near
        assert sum(row[at] for row, at in zip(cost, path, strict=True)) == pytest.approx(best.min())
        assert max(abs(a - b) for a, b in pairwise(path)) <= 2
    assert least_paths([]) == []


def test_a_narrow_overlap_is_not_cut():
    left, right = place("a", 200.0, 400.0), place("b", 448.0, 400.0)
    pixels = {"a": exposed(left), "b": exposed(right)}
    (overlap,) = look_into([(left, right)], pixels.get, Warp(SHAPE_PX))
    assert overlap.cut is None
    views = [Warp(SHAPE_PX).view(pixels[p.tile_id], p, (448, 400, 456, 624)) for p in (left, right)]
    assert costs(*views, upright=True) is None


@pytest.mark.parametrize("upright", [True, False])
def test_a_cut_shares_out_its_box(upright):
    cut = SeamCut((100, 200, 140, 240), upright, "a", (5, 5, 5, 5, 5))
    share = cut.far_share((90, 190, 150, 250))
    share = share if upright else share.T
    assert (share[:, :20] == 0).all()
    assert (share[:, -20:] == 1).all()
    assert share[:, 32].mean() == pytest.approx(0.5, abs=0.1)


def test_a_tile_that_nothing_confirms_lies_underneath():
    good, foreign = place("z", 400.0, 400.0), place("a", 430.0, 400.0, flag="suspect")
    tiles = {"z": exposed(good), "a": np.full(SHAPE_PX, 60000, np.uint16)}
    (overlap,) = look_into([(foreign, good)], tiles.get, Warp(SHAPE_PX))
    assert overlap.cut is None
    image = drawn([(foreign, tiles["a"]), (good, tiles["z"])])
    assert rms_off_the_section(image[10:, 10:], (430, 430, 560, 540)) < 4.0


def overlaps_of(made, shading=()):
    """Return what the overlaps of a scan say, its tiles shaded."""
    added = field(shading, SHAPE_PX)
    pixels = {
        t.tile_id: t.pixels if added is None else (t.pixels * (1 + added)).astype(np.uint16)
        for t in made.tiles
    }
    at = {name: place(name, x, y) for name, (x, y) in made.truth_px.items()}
    warp = Warp(SHAPE_PX)
    pairs = [(at[a], at[b]) for a, b in nearby(at, warp) if neighbours(at[a], at[b], warp)]
    return list(look_into(pairs, pixels.get, warp)), pixels


@pytest.fixture(scope="module")
def made():
    return scan(noise=0.0)


def test_gains_bring_tiles_together(made):
    overlaps, _ = overlaps_of(made)
    shared = [overlap.tones for overlap in overlaps]
    tones = solve_tones(shared, sorted(made.truth_px), {})
    before, after = [], []
    for overlap in overlaps:
        matrix, a, b = overlap.tones.matrix, tones[overlap.a.tile_id], tones[overlap.b.tile_id]
        mean_a, mean_b = matrix[0, 1], matrix[2, 1]
        before.append(abs(mean_a - mean_b))
        after.append(abs(a.gain * mean_a + a.offset - b.gain * mean_b - b.offset))
    assert np.mean(after) < 0.1 * np.mean(before)
    assert np.mean([tone.gain for tone in tones.values()]) == pytest.approx(1.0, abs=1e-3)


def test_tones_that_are_held_stay_and_the_others_come_to_them(made):
    overlaps, _ = overlaps_of(made)
    overlap = overlaps[0]
    a, b = overlap.pair
    held = Tone(1.1, 20.0)
    tones = solve_tones([overlap.tones], [a], {b: held})
    matrix = overlap.tones.matrix
    came = tones[a].gain * matrix[0, 1] + tones[a].offset
    assert list(tones) == [a]
    assert came == pytest.approx(held.gain * matrix[2, 1] + held.offset, rel=0.01)
    assert solve_tones([], ["x"], {}) == {"x": Tone()}


def test_shading_that_all_tiles_share_is_found(made):
    shading = (0.0, 0.0, -0.15, 0.05, -0.1)
    overlaps, _ = overlaps_of(made, shading)
    _, found = solve_shaded([o.tones for o in overlaps], sorted(made.truth_px))
    undone = (1 + field(shading, SHAPE_PX)) * (1 + field(found, SHAPE_PX))
    assert undone.std() < 0.15 * field(shading, SHAPE_PX).std()


def test_no_shading_is_made_up(made):
    """Tiles that differ by 15 % in gain look a little like a tilt in each; that is not believed."""
    overlaps, _ = overlaps_of(made)
    tones, found = solve_shaded([o.tones for o in overlaps], sorted(made.truth_px))
    assert found == ()
    assert tones == solve_tones([o.tones for o in overlaps], sorted(made.truth_px), {})


def test_shading_is_taken_out_of_what_is_drawn():
    shading = (0.0, 0.0, -0.15, 0.0, -0.1)
    added = field(shading, SHAPE_PX)
    at = place("a", 400.5, 410.25)
    pixels = (exposed(at) * (1 + added)).astype(np.uint16)
    with_it = rms_off_the_section(drawn([(at, pixels)], shading=1 / (1 + added) - 1))
    assert with_it < 0.5 * rms_off_the_section(drawn([(at, pixels)]))
    turned = place("a", 400.5, 410.25, 2e-6)
    assert rms_off_the_section(drawn([(turned, pixels)], shading=1 / (1 + added) - 1)) < 4.0


def drawn_at(tile, box_px, **place):
    style = Style(Warp(tile.shape), np.uint16)
    layer = Layer(tile, Placement(tile_id="a", **place), Tone())
    return draw([layer], {}.get, box_px=box_px, style=style)


def test_tiles_are_drawn_to_the_fraction_of_a_pixel():
    image = section()[:400, :400]
    tile = cut(image, at_px=(100.3, 90.7), shape=(120, 140)).round().astype(np.uint16)
    rms = []
    for x_px, y_px in ((100.3, 90.7), (100.0, 91.0)):
        drawn = drawn_at(tile, (105, 95, 235, 205), x_px=x_px, y_px=y_px)
        rms.append(float(np.sqrt(np.mean((drawn - image[95:205, 105:235]) ** 2))))
    assert rms[0] < 0.6 * rms[1]
    assert not drawn_at(tile, (200, 0, 210, 10), x_px=0.0, y_px=0.0).any()
