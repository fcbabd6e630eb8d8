"""Regions: compact, the surest first, decided by the labels alone."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.plan import Visits
from runtime.night.regions import find_regions
from runtime.night.visits import planned_frames
from runtime.tile import Label, Placement
from tests.runtime.made import shot, stored

WANTED = Visits(labels=("tissue",), objective="20x", min_score=0.5, max_tiles=4, max_regions=3)


def _scan(scores: dict[tuple[int, int], float]):
    tiles, labels, placements = [], {}, {}
    for seq, ((row, col), score) in enumerate(scores.items()):
        tile_id = f"r{row}_c{col}"
        tiles.append(
            stored(
                shot(tile_id, at_um=(col * 200.0, row * 180.0, 0.0), row=row, column=col),
                seq=seq,
                shape_px=(448, 512),
            )
        )
        name = "tissue" if score >= 0.5 else "resin"
        labels[tile_id] = Label(name=name, score=max(score, 1 - score))
        placements[tile_id] = Placement(tile_id=tile_id, x_px=col * 435.0, y_px=row * 380.0)
    return tiles, labels, placements


def test_separate_blobs_become_separate_regions_the_surest_first():
    scores = dict.fromkeys(itertools.product(range(5), range(5)), 0.1)
    scores |= {(0, 0): 0.8, (0, 1): 0.7, (3, 3): 0.99, (4, 3): 0.6}
    regions = find_regions(*_scan(scores), WANTED)
    assert [r.tile_ids for r in regions] == [("r3_c3", "r4_c3"), ("r0_c0", "r0_c1")]
    assert [r.region_id for r in regions] == ["region01", "region02"]
    assert regions[1].box_px == (0, 0, 435 + 512, 448)
    assert (regions[1].x_um, regions[1].y_um) == (100, 0)


def test_diagonal_tiles_are_not_neighbours():
    regions = find_regions(*_scan({(0, 0): 0.9, (1, 1): 0.9, (0, 1): 0.1}), WANTED)
    assert len(regions) == 2


def test_a_doubted_label_sends_the_scan_nowhere():
    tiles, labels, placements = _scan({(0, 0): 0.99, (0, 1): 0.9, (0, 2): 0.8, (2, 2): 0.95})
    for doubted in ("r0_c0", "r2_c2"):
        labels[doubted] = replace(labels[doubted], doubt="x", doubt_about="specimen")
    regions = find_regions(tiles, labels, placements, WANTED)
    assert [r.tile_ids for r in regions] == [("r0_c1", "r0_c2")]


@pytest.mark.parametrize("about", ["instrument", "score"])
def test_a_doubt_that_is_not_about_the_specimen_keeps_no_region_back(about):
    tiles, labels, placements = _scan({(0, 0): 0.99, (0, 1): 0.9, (2, 2): 0.95})
    doubted = {
        name: replace(label, doubt="noise", doubt_about=about) for name, label in labels.items()
    }
    assert find_regions(tiles, doubted, placements, WANTED) == find_regions(
        tiles, labels, placements, WANTED
    )


def test_a_score_at_the_limit_counts_and_one_below_it_does_not():
    wanted = WANTED.model_copy(update={"min_score": 0.8})
    regions = find_regions(*_scan({(0, 0): 0.8, (0, 1): 0.7999, (2, 0): 0.9}), wanted)
    assert [r.tile_ids for r in regions] == [("r2_c0",), ("r0_c0",)]


def test_another_label_is_not_visited_however_sure():
    tiles, labels, placements = _scan({(0, 0): 0.01, (0, 1): 0.6})
    assert labels["r0_c0"].score > labels["r0_c1"].score
    regions = find_regions(tiles, labels, placements, WANTED)
    assert [r.tile_ids for r in regions] == [("r0_c1",)]


def test_of_equally_sure_tiles_the_one_whose_name_comes_first_begins_and_grows():
    """Whatever order they were taken in: a resumed night must find the same regions."""
    wanted = WANTED.model_copy(update={"max_tiles": 2, "max_regions": 1})
    scores = dict.fromkeys([(1, 2), (1, 1), (0, 1), (1, 0), (2, 1)], 0.9)
    regions = find_regions(*_scan(scores), wanted)
    assert [r.tile_ids for r in regions] == [("r0_c1", "r1_c1")]


def test_a_regions_score_is_the_mean_of_its_tiles():
    (region,) = find_regions(*_scan({(0, 0): 0.9, (0, 1): 0.7}), WANTED)
    assert region.score == 0.8


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 5)), st.floats(0, 1), min_size=1, max_size=30
    )
)
def test_regions_are_disjoint_connected_and_bounded(scores):
    tiles, labels, placements = _scan(scores)
    regions = find_regions(tiles, labels, placements, WANTED)
    members = [i for r in regions for i in r.tile_ids]
    assert len(members) == len(set(members))
    assert len(regions) <= WANTED.max_regions
    at = {t.tile_id: (t.shot.row, t.shot.column) for t in tiles}
    for region in regions:
        assert 1 <= len(region.tile_ids) <= WANTED.max_tiles
        assert all(labels[i].name == "tissue" for i in region.tile_ids)
        reached = {region.tile_ids[0]}
        for _ in region.tile_ids:
            reached |= {
                i
                for i in region.tile_ids
                if any(
                    sum(abs(a - b) for a, b in zip(at[i], at[j], strict=True)) == 1 for j in reached
                )
            }
        assert reached == set(region.tile_ids)
    shuffled = find_regions(tiles[::-1], labels, placements, WANTED)
    assert [r.tile_ids for r in shuffled] == [r.tile_ids for r in regions]


def test_small_regions_are_passed_over():
    wanted = WANTED.model_copy(update={"min_tiles": 2})
    regions = find_regions(*_scan({(0, 0): 0.99, (3, 3): 0.8, (3, 4): 0.7}), wanted)
    assert [r.tile_ids for r in regions] == [("r3_c3", "r3_c4")]


def test_frames_start_at_the_centre_and_carry_the_offset():
    tiles, labels, placements = _scan({(0, c): s for c, s in enumerate((0.9, 0.6, 0.8))})
    (region,) = find_regions(tiles, labels, placements, WANTED)
    by_id = {t.tile_id: t for t in tiles}
    frames = planned_frames(region, by_id, offset_um=(14.0, -9.0, 6.5), frames=2)
    assert [(f.x_um, f.y_um) for f in frames] == [(214.0, -9.0), (14.0, -9.0)]
    assert [f.tile_id for f in frames] == ["region01_f0", "region01_f1"]
