"""The parts of a match: geometry, blankness, chance level, deformed seams."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.blank import is_blank, texture_ratio
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.correlation import ncc
from runtime.stitch.match.ladder import by_phase, by_the_sensor, match_phase
from runtime.stitch.match.phase import band_pass, candidates, reachable_ncc, within_gate
from runtime.stitch.match.strips import Borders, StripPair, cut, predict
from runtime.stitch.match.subpixel import refine
from runtime.stitch.match.threshold import HIGHEST, LOWEST, Chance
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section

RNG = np.random.default_rng(1)


def test_pairs_run_left_to_right_and_top_to_bottom_whoever_came_first():
    for first, second in (
        (("a", (0.0, 0.0)), ("b", (230.0, 3.0))),
        (("b", (230.0, 3.0)), ("a", (0.0, 0.0))),
    ):
        pair = predict(first, second, shape_px=SHAPE_PX)
        assert pair is not None
        assert (pair.a, pair.b, pair.shift_px, pair.horizontal) == ("a", "b", (230.0, 3.0), True)


@pytest.mark.parametrize("at", [(252.0, 0.0), (230.0, 190.0), (-400.0, 0.0)])
def test_too_little_overlap_and_diagonals_are_no_pairs(at):
    assert predict(("a", (0.0, 0.0)), ("b", at), shape_px=SHAPE_PX) is None


@pytest.mark.parametrize("shift", [(220, 4), (-6, 195)])
def test_crops_show_the_same_specimen(shift):
    image = section().astype(np.uint16)
    height, width = SHAPE_PX
    a = image[300 : 300 + height, 300 : 300 + width]
    b = image[300 + shift[1] : 300 + shift[1] + height, 300 + shift[0] : 300 + shift[0] + width]
    pair = predict(("a", (0.0, 0.0)), ("b", shift), shape_px=SHAPE_PX)
    assert pair is not None
    borders = [Borders.of(pixels, depth_px=80) for pixels in (a, b)]
    strips = cut(pair, *borders, gate_px=9)
    assert strips is not None
    ox, oy = (shift[i] + strips.crop_offset[i] for i in (0, 1))
    part_a = strips.a[max(oy, 0) :, max(ox, 0) :]
    part_b = strips.b[max(-oy, 0) :, max(-ox, 0) :]
    rows, columns = np.minimum(part_a.shape, part_b.shape)
    assert np.array_equal(part_a[:rows, :columns], part_b[:rows, :columns])


@pytest.mark.parametrize("level", [3.0, 40.0])
def test_noise_alone_is_blank_at_any_level(level):
    noise = np.clip(2000 + level * RNG.normal(size=SHAPE_PX), 0, 65535).astype(np.uint16)
    assert texture_ratio(noise) == pytest.approx(1.0, abs=0.25)
    assert is_blank(noise)


def test_a_constant_image_is_blank_and_tissue_is_not():
    assert is_blank(np.full(SHAPE_PX, 7, np.uint8))
    assert not is_blank(section()[:224, :256].astype(np.uint8))


def test_chance_stays_below_the_threshold_it_teaches():
    """Pairs cut from far apart must not pass; pairs that overlap must."""
    image = section().astype(np.uint8)
    height, width = SHAPE_PX
    passed = []
    for _ in range(12):
        y, x = (int(v) for v in RNG.integers(0, 500, 2))
        far = ((y + 600) % 1100, (x + 700) % 1300)
        a, b = image[y : y + height, x : x + width], image[far[0] :, far[1] :][:height, :width]
        passed.append(_match(a, b))
    assert passed == [None] * 12
    for _ in range(4):
        y, x = (int(v) for v in RNG.integers(0, 1000, 2))
        a, b = image[y : y + height, x : x + width], image[y + 2 :, x + 218 :][:height, :width]
        match = _match(a, b)
        assert match is not None
        assert match.shift_px == pytest.approx((218, 2), abs=0.02)


def _match(a, b):
    pair = predict(("a", (0.0, 0.0)), ("b", (218.0, 0.0)), shape_px=SHAPE_PX)
    assert pair is not None
    strips = cut(pair, Borders.of(a, depth_px=60), Borders.of(b, depth_px=60), gate_px=10)
    assert strips is not None
    chance = Chance.of(a, gate_px=10) + Chance.of(b, gate_px=10)
    return match_phase(strips, chance)


def test_the_threshold_falls_with_the_area():
    chance = Chance(lambda: (8.0, 9.0, 10.0, 11.0))
    assert not chance.exceeded(0.3, area_px=2_000)
    assert chance.exceeded(0.3, area_px=8_000)


def test_chance_is_learned_where_the_answer_depends_on_it_and_once():
    asked = []

    def learn():
        asked.append(1)
        return (0.0, 0.0)

    chance = Chance(learn)
    assert chance.exceeded(HIGHEST, area_px=1)
    assert not chance.exceeded(LOWEST - 1e-9, area_px=1_000_000)
    assert asked == []
    both = chance + chance
    assert both.exceeded(LOWEST, area_px=1)
    assert (both.scores, chance.scores, asked) == ((0.0,) * 4, (0.0,) * 2, [1])


@pytest.mark.parametrize("size", [(40, 30), (33, 54)])
@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (-25.0, 3.4), (17.6, -30.0)])
def test_within_the_gate_a_correlation_is_what_it_is_as_a_whole(size, shift_px):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, *size)).astype(np.float32)
    cross = np.fft.rfft2(a) * np.conj(np.fft.rfft2(b))
    pair = StripPair(a, b, (3, 4), (1, 0), shift_px, gate_px=9)
    gated = within_gate(pair, np.stack([cross, 2 * cross]).astype(np.complex64), size)
    (x, y), (more_x, more_y) = (round(way) - 9 for way in shift_px), pair.crop_offset
    whole = np.roll(np.fft.irfft2(cross, s=size), (-y - more_y, -x - more_x), axis=(0, 1))
    assert gated[0] == pytest.approx(whole[:19, :19], abs=1e-3)
    assert gated[1] == pytest.approx(2 * whole[:19, :19], abs=2e-3)


def test_a_seam_that_shears_is_followed():
    """The shift runs by 12 px along the seam, as in tiles of a tilted electron column."""
    image = section()
    height, width = 1200, 160
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    run = 12 * (y / (height - 1) - 0.5)
    a = image[100 : 100 + height, 400 : 400 + width].copy()
    b = cv2.remap(image, x + 400, y + 100 + run, cv2.INTER_CUBIC)
    blocks = refine(a, b)
    assert blocks is not None
    assert len(blocks.shifts_px) >= 6
    assert blocks.shift_px == pytest.approx((0.0, 0.0), abs=0.3)
    along = np.interp(blocks.centres_px[:, 1], y[:, 0], run[:, 0])
    assert blocks.shifts_px[:, 1] == pytest.approx(along, abs=0.7)
    scatter_px2 = blocks.shifts_px[:, 1].var()
    assert scatter_px2 > 5.0
    assert blocks.covariance_px2[1, 1] == pytest.approx(scatter_px2, rel=0.3)


def test_no_overlap_and_flat_overlaps_have_no_correlation() -> None:
    empty, flat = np.zeros((0, 5), np.float32), np.ones((4, 4), np.float32)
    assert ncc(empty, empty) == 0.0
    assert ncc(flat, flat) == 0.0


def strips_of(a, b, *, prior, gate_px):
    pair = predict(("a", (0.0, 0.0)), ("b", prior), shape_px=SHAPE_PX)
    assert pair is not None
    strips = cut(pair, *(Borders.of(p, depth_px=250) for p in (a, b)), gate_px=gate_px)
    assert strips is not None
    return strips


def peak_of(a, b, *, prior, gate_px):
    strips = strips_of(a, b, prior=prior, gate_px=gate_px)
    return candidates(strips, band_pass(strips.a), band_pass(strips.b))[0]


def noise(rng, shape, *, sigma):
    return rng.normal(0, sigma, shape).astype(np.float32)


def seen(at, *, pattern=0.0, contrast=1.0):
    """The section with its pixel (0, 0) at `at` (x, y), under a pattern of the sensor."""
    height, width = SHAPE_PX
    part = section()[at[1] : at[1] + height, at[0] : at[0] + width]
    return np.clip(16 * (contrast * part + pattern) + 4000, 0, 65535).astype(np.uint16)


def test_the_second_peak_is_the_match_where_dust_makes_the_highest():
    """Tiles so close that zero lies in the gate: dust correlates best there, and is not it."""
    dust = 40 * np.random.default_rng(3).normal(size=SHAPE_PX)
    dust = cv2.GaussianBlur(dust, (0, 0), 1.5)
    a, b = (seen(at, pattern=4 * dust, contrast=0.6) for at in ((300, 400), (309, 404)))
    peak = peak_of(a, b, prior=(10.0, 2.0), gate_px=14)
    assert peak is not None
    assert peak.shift_px == (9, 4)


@pytest.mark.parametrize(
    ("seed", "at", "shift"), [(155, (69, 186), (237, 6)), (275, (132, 554), (237, 5))]
)
def test_of_the_peaks_the_one_whose_overlap_agrees_best_is_taken(seed, at, shift):
    """In such noise the highest point of the correlation is elsewhere: the NCC tells them apart."""
    rng = np.random.default_rng(seed)
    rng.integers(0, 600), rng.integers(0, 600), rng.integers(-6, 6), rng.integers(-8, 9)
    noise = [24 * rng.normal(size=SHAPE_PX) for _ in range(2)]
    places = (at, (at[0] + shift[0], at[1] + shift[1]))
    a, b = (seen(xy, pattern=n, contrast=0.3) for xy, n in zip(places, noise, strict=True))
    peak = peak_of(a, b, prior=(232.0, 0.0), gate_px=12)
    assert peak is not None
    assert peak.shift_px == shift


@pytest.mark.parametrize(
    ("shift", "prior", "stripes"),
    [((218, 3), (218.0, 0.0), (SHAPE_PX[0], 1)), ((3, 188), (0.0, 188.0), (1, SHAPE_PX[1]))],
    ids=["rows, side by side", "columns, one above the other"],
)
def test_rows_and_columns_of_the_sensor_do_not_pull(shift, prior, stripes):
    """The noise of whole rows or columns is the same in both tiles, hence agrees on no shift."""
    pattern = 60 * np.random.default_rng(4).normal(size=stripes)
    a, b = (seen((300 + x, 400 + y), pattern=pattern) for x, y in ((0, 0), shift))
    peak = peak_of(a, b, prior=prior, gate_px=8)
    assert peak is not None
    assert peak.shift_px == shift


def test_columns_stronger_than_the_specimen_leave_most_matches_right():
    """Their ridge, one shift in x and any in y, would take all three peaks that are looked at."""
    right = 0
    for seed in range(12):
        columns = 60 * np.random.default_rng(seed).normal(size=(1, SHAPE_PX[1]))
        a, b = (seen(at, pattern=columns, contrast=0.7) for at in ((300, 400), (305, 580)))
        peak = peak_of(a, b, prior=(0.0, 184.0), gate_px=8)
        right += peak is not None and peak.shift_px == (5, 180)
    assert right >= 7


@pytest.mark.parametrize(
    ("prior", "stripes"),
    [((218.0, 0.0), (SHAPE_PX[0], 1)), ((0.0, 188.0), (1, SHAPE_PX[1]))],
    ids=["rows, side by side", "columns, one above the other"],
)
def test_rows_or_columns_alone_are_no_match(prior, stripes):
    rng = np.random.default_rng(5)
    pattern = 60 * rng.normal(size=stripes)
    a, b = (seen((0, 0), pattern=pattern + rng.normal(0, 2, SHAPE_PX), contrast=0) for _ in "ab")
    chance = Chance.of(a, gate_px=8) + Chance.of(b, gate_px=8)
    assert match_phase(strips_of(a, b, prior=prior, gate_px=8), chance) is None


def lattice(at, *, pitch, seed, flaws=0.0):
    """A view of an endless lattice of dots, its pixel (0, 0) at `at`, under noise of its own.

    Its dots may be brighter or darker here and there, by so large a share.
    """
    height, width = SHAPE_PX
    y, x = np.mgrid[at[1] : at[1] + height, at[0] : at[0] + width]
    dots = np.tanh(2 * (np.cos(2 * np.pi * x / pitch) + np.cos(2 * np.pi * y / pitch)))
    noise = np.random.default_rng(seed).normal(0, 0.1, SHAPE_PX)
    if flaws:
        everywhere = np.random.default_rng(9).normal(1, 4 * flaws, (600, 600)).astype(np.float32)
        part = cv2.GaussianBlur(everywhere, (0, 0), 1.5)
        dots *= part[at[1] : at[1] + height, at[0] : at[0] + width]
    return (4000 + 1000 * (dots + noise)).astype(np.uint16)


@pytest.mark.parametrize("pitch", [12, 17.3, 24])
def test_a_periodic_specimen_keeps_every_place_it_allows_and_takes_the_stages(pitch):
    true, prior, gate_px = (220, 3), (218.0, -2.0), 20
    a, b = lattice((0, 0), pitch=pitch, seed=1), lattice(true, pitch=pitch, seed=2)
    strips = strips_of(a, b, prior=prior, gate_px=gate_px)
    match = match_phase(strips, Chance.of(a, gate_px=20) + Chance.of(b, gate_px=20))
    assert match is not None
    places = [match.shift_px, *((other.dx_px, other.dy_px) for other in match.alternatives)]
    steps = (np.array(places) - true) / pitch
    assert steps == pytest.approx(np.rint(steps), abs=0.05)
    from_stage = np.hypot(*(np.array(places) - prior).T)
    assert from_stage[0] == from_stage.min()
    assert len(places) == len(set(map(tuple, np.rint(steps).tolist()))) >= (gate_px // pitch) ** 2
    assert np.hypot(*steps.T).min() < 0.05


@pytest.mark.parametrize("pitch", [12, 17.3])
def test_flaws_far_below_the_noise_tell_the_places_of_a_lattice_apart(pitch):
    true, prior, gate_px = (220, 3), (212.0, 9.0), 20
    a, b = (lattice(at, pitch=pitch, seed=at[0], flaws=0.03) for at in ((0, 0), true))
    match = match_phase(strips_of(a, b, prior=prior, gate_px=gate_px), Chance(lambda: (8.0, 8.0)))
    assert match is not None
    places = [(match.shift_px, 0.0)]
    places += [((other.dx_px, other.dy_px), other.lead_nats) for other in match.alternatives]
    likeliest = min(places, key=lambda place: place[1])[0]
    assert likeliest == pytest.approx(true, abs=0.1)


def test_a_lattice_that_agrees_with_itself_is_no_dust():
    """The step of the stage is a whole number of its periods, so a tile matches itself as well."""
    true, gate_px = (216, 0), 8
    a, b = lattice((0, 0), pitch=12, seed=1), lattice(true, pitch=12, seed=2)
    chance = Chance.of(a, gate_px=8) + Chance.of(b, gate_px=8)
    pair, own = (strips_of(one, b, prior=(216.0, 0.0), gate_px=gate_px) for one in (a, b))
    match = match_phase(pair, chance)
    assert match is not None
    assert not by_the_sensor(match, Facing(pair, None, own, chance))


def test_a_pitch_as_wide_as_the_overlap_is_matched_to_a_pixel():
    for true in ((220, 3), (217, -2), (223, 0)):
        a, b = (
            lattice((20, 20), pitch=36, seed=1),
            lattice((20 + true[0], 20 + true[1]), pitch=36, seed=2),
        )
        peak = peak_of(a, b, prior=(220.0, 0.0), gate_px=12)
        assert peak is not None
        assert peak.shift_px == pytest.approx(true, abs=1)


def test_a_specimen_that_does_not_repeat_has_one_place():
    for at in ((300, 400), (700, 200), (100, 900)):
        a, b = seen(at), seen((at[0] + 218, at[1] + 4))
        chance = Chance.of(a, gate_px=20) + Chance.of(b, gate_px=20)
        match = match_phase(strips_of(a, b, prior=(215.0, 0.0), gate_px=20), chance)
        assert match is not None
        assert match.alternatives == ()


def specks(rng, shared):
    """A flat field with specks of its own, and some that are `shared` (n, 2) x, y."""
    height, width = SHAPE_PX
    image = np.full(SHAPE_PX, 1000, np.float32)
    for x, y in shared:
        cv2.circle(image, (x, y), 5, 300.0, -1)
    for x, y in rng.uniform(0, 1, (25, 2)) * (width, height):
        radius, grey = round(rng.uniform(3, 6)), float(rng.uniform(300, 1700))
        cv2.circle(image, (round(x), round(y)), radius, grey, -1)
    return (cv2.GaussianBlur(image, (0, 0), 1) + rng.normal(0, 10, SHAPE_PX)).astype(np.uint16)


@pytest.mark.parametrize("seed", [0, 3, 11])
def test_two_specks_that_agree_among_many_that_do_not_are_no_match(seed):
    rng = np.random.default_rng(seed)
    a, b = (specks(rng, np.array([(230, 60), (238, 75)]) - at) for at in ((0, 0), (212, 4)))
    chance = Chance.of(a, gate_px=12) + Chance.of(b, gate_px=12)
    pair = strips_of(a, b, prior=(212.0, 0.0), gate_px=12)
    assert match_phase(pair, chance) is not None
    assert by_phase(lambda _: pair, chance) is None


def test_sharp_strips_that_agree_a_little_in_the_gate_are_looked_at_beyond_it():
    """From the gate's rim the likelihood climbs towards the true place, and may stop on the way."""
    rng, (height, width) = np.random.default_rng(10), SHAPE_PX
    x, y = (int(v) for v in rng.integers(100, 700, 2))
    a, b = (
        section()[y + dy :, x + dx :][:height, :width] + noise(rng, SHAPE_PX, sigma=5.0)
        for dx, dy in ((0, 0), (180, 20))
    )
    chance = Chance.of(a, gate_px=12) + Chance.of(b, gate_px=12)
    straight, wide = (strips_of(a, b, prior=(180.0, 0.0), gate_px=gate) for gate in (12, 32))
    assert match_phase(straight, chance) is not None
    match = by_phase(lambda turned: wide if turned else straight, chance)
    assert match.shift_px == pytest.approx((180, 20), abs=0.05)


@pytest.mark.parametrize("noise", [5.0, 40.0, 120.0])
def test_what_noise_leaves_of_an_agreement_is_known_beforehand(noise):
    rng = np.random.default_rng(4)
    a, b = (
        seen((300 + x, 400)) + rng.normal(0, noise, SHAPE_PX).astype(np.float32) for x in (0, 200)
    )
    pair = strips_of(a, b, prior=(200.0, 0.0), gate_px=0)
    assert reachable_ncc(pair) == pytest.approx(ncc(band_pass(pair.a), band_pass(pair.b)), abs=0.05)


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_a_bold_line_across_a_faint_overlap_does_not_say_where_along_it_they_meet(seed):
    """Along the line every place agrees, and it is most of what there is; the rest says where."""
    rng, (height, width) = np.random.default_rng(seed), (50, 512)
    grain = 6 * cv2.GaussianBlur(noise(rng, (height + 40, width + 40), sigma=4.0), (0, 0), 2.0)
    y, x = np.mgrid[: height + 40, : width + 40]
    specimen = grain - 150 * np.exp(-(((x - 420 + y / 3) / 6) ** 2)).astype(np.float32)
    a, right, along = (
        specimen[20 + dy :, 20 + dx :][:height, :width] + noise(rng, (height, width), sigma=2.0)
        for dx, dy in ((0, 0), (0, 0), (5, -15))
    )
    assert refine(a, along) is None
    assert refine(a, right).shift_px == pytest.approx((0, 0), abs=0.1)


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_blocks_of_noise_have_no_say_against_those_that_show_something(seed):
    rng, (height, width) = np.random.default_rng(seed), (512, 70)
    y, x = (int(v) for v in rng.integers(200, 700, 2))
    shown = (np.abs(np.arange(height) - 320) < 64)[:, None]
    island = (section()[y : y + height, x : x + width] - 128) * shown
    blocks = refine(*(island + noise(rng, island.shape, sigma=40.0) for _ in range(2)))
    assert blocks is not None
    assert blocks.shift_px == pytest.approx((0, 0), abs=0.3)


def test_strips_with_nothing_in_common_are_refined_to_no_place():
    """Blocks that hold little agree to a pixel in any place; they just share next to nothing."""
    rng, shape = np.random.default_rng(0), (500, 60)
    for _ in range(24):
        a, b = (
            section()[y : y + shape[0], x : x + shape[1]] + noise(rng, shape, sigma=8.0)
            for x, y in ((rng.integers(0, 500), 100), (rng.integers(700, 1200), 600))
        )
        assert refine(a, b) is None
