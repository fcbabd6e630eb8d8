"""Matchers on data sets made here, whose truth is known: what is found, written and refused."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from export.datasets.demis import read_truth
from export.evaluate.matching.figures import worst_median_best
from export.evaluate.matching.grid import read_pixels, true_pairs
from export.evaluate.matching.matcher import Matcher, PointMatches, TilePair
from export.evaluate.matching.matchers import OFFERS, opened
from export.evaluate.matching.results import TRUE, GridScore, MatchingResults, StitchedScore
from export.evaluate.matching.run import Terms, evaluate
from export.evaluate.matching.score import PairOutcome, PairScore, Points, Spent, judged
from export.evaluate.matching.table import markdown
from export.progress import silent
from runtime.cli.verbs import app
from runtime.errors import NightscopeError
from tests.export.demis_set import write_set

pytestmark = pytest.mark.export
STAGE_PX = 2.0
TERMS = Terms(stage_sigma_px=STAGE_PX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demis") / "seed0"
    write_set(folder, seed=0, grids=2)
    return folder


def outcomes(folder: Path, matcher: Matcher) -> list[PairOutcome]:
    (grid, *_) = read_truth(folder).grids
    pairs = true_pairs(grid, read_pixels(folder, grid), stage_sigma_px=STAGE_PX)
    return [judged(matcher, one, correct_px=3.0) for one in pairs]


@pytest.mark.parametrize(("name", "most_px"), [("sift", 0.3), ("phase", 0.3)])
def test_plain_matchers_find_turned_neighbours(folder: Path, name: str, most_px: float) -> None:
    (matcher,) = opened([name])
    found = outcomes(folder, matcher)
    assert [(one.score.a, one.score.b) for one in found] == [
        ("r000_c000", "r000_c001"),
        ("r000_c000", "r001_c000"),
        ("r000_c001", "r001_c001"),
        ("r001_c000", "r001_c001"),
    ]
    for one in found:
        assert one.score.points.correct >= 0.98 * one.score.points.matches > 0
        assert one.score.centre_px < most_px
        assert max(one.score.motion_px) < 2 * most_px
        assert len(one.matches.a_px) == len(one.matches.b_px) == len(one.matches.confidence)


def test_neither_is_sure_of_tiles_that_show_other_specimens(tmp_path: Path) -> None:
    write_set(tmp_path / "one", seed=1)
    write_set(tmp_path / "two", seed=2)
    # Every tile of the right column comes from elsewhere.
    for name in ("tile_r000_c001.png", "tile_r001_c001.png"):
        (tmp_path / "two/grid_000" / name).replace(tmp_path / "one/grid_000" / name)
    across = [outcomes(tmp_path / "one", matcher)[0] for matcher in opened(["sift", "phase"])]
    assert across[0].score.points.matches < 20
    assert across[0].score.points.correct <= 1
    assert across[1].score.points.matches == 0
    assert across[1].score.centre_px == math.inf


def test_blank_tiles_match_nowhere(folder: Path) -> None:
    (grid, *_) = read_truth(folder).grids
    blank = {tile.name: np.full(grid.tile_shape, 20000, np.uint16) for tile in grid.tiles}
    for matcher in opened(["sift", "phase"]):
        for one in true_pairs(grid, blank, stage_sigma_px=STAGE_PX):
            assert len(matcher.match(one.pair)) == 0


class Told:
    """A matcher with an answer of its own: three matches, of which the last is 4 px off."""

    name = "told"

    def __init__(self, folder: Path) -> None:
        (grid, *_) = read_truth(folder).grids
        pairs = true_pairs(grid, read_pixels(folder, grid), stage_sigma_px=STAGE_PX)
        self.truth = {(one.pair.a, one.pair.b): one.truth for one in pairs}

    def match(self, pair: TilePair) -> PointMatches:
        a = np.array([[200.0, 20.0], [220.0, 100.0], [210.0, 200.0]])
        b = (np.column_stack([a, np.ones(3)]) @ self.truth[pair.a, pair.b].T)[:, :2]
        return PointMatches(a, b + np.array([[0, 0], [1, 0], [0, 4]]), np.ones(3))


def test_what_a_matcher_says_is_counted_against_the_truth(folder: Path, tmp_path: Path) -> None:
    ticks = iter([Spent(1.0, 10.0), Spent(1.5, 12.0)])
    (grid, *_) = read_truth(folder).grids
    known = next(true_pairs(grid, read_pixels(folder, grid), stage_sigma_px=STAGE_PX))
    score = judged(Told(folder), known, correct_px=3.0, watch=lambda: next(ticks)).score
    assert score.points.matches == 3
    assert score.points.correct == 2
    assert score.points.off_px == pytest.approx(5 / 3)
    assert score.points.correct_off_px == pytest.approx(0.5)
    assert score.spent == Spent(0.5, 2.0)
    assert score.homography_px == (math.inf,) * 4


def test_an_evaluation_leaves_tables_numbers_and_figures(folder: Path, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    results = evaluate(
        [folder],
        opened(["sift", "phase"]),
        Terms(grids=1, stage_sigma_px=STAGE_PX),
        out=tmp_path,
        progress=lambda task, done, total, note="": said.append((done, total)),
    )
    assert said == [(done, 8) for done in range(1, 9)]
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.md", "table.csv", "results.json", "corner_errors.png",
        "pairs_sift.png", "pairs_phase.png",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [(row["grid"], row["matcher"], row["pairs"]) for row in rows] == [
        ("grid_000", "sift", "4"),
        ("grid_000", "phase", "4"),
        ("grid_000", TRUE, "0"),
    ]
    assert all(float(row["tile_most_px"]) < 0.3 for row in rows)
    assert all(float(row["psnr_db"]) > 40 for row in rows)
    assert float(rows[0]["matches"]) == results.grids[0].numbers["matches"]
    stored = json.loads((tmp_path / "results.json").read_text())
    assert len(stored["grids"][0]["pairs"]) == 4
    assert stored["grids"][0]["seed"] == 0
    table = (tmp_path / "table.md").read_text()
    assert "- pairs: 4 of 1 grids" in table
    assert "| sift | " in table
    assert "phase against sift" not in table
    assert table.count(f"| {TRUE} | ") == 2


def grid_score(data: str, grid: str, matcher: str, correct: int) -> GridScore:
    points = Points(2 * correct, correct, 1.0, 0.5)
    pair = PairScore("a", "b", points, (0.0,) * 4, (math.inf,) * 4, 0.0, Spent(0.1, 0.2))
    stitched = StitchedScore(1, (0.5, 1.5, 4.0), None)
    return GridScore(
        data=data, seed=0, grid=grid, matcher=matcher, pairs=(pair,), stitched=stitched
    )


def test_the_spread_is_over_data_sets_where_there_are_several() -> None:
    one = [grid_score("s0", "g0", "sift", 100), grid_score("s0", "g1", "sift", 300)]
    alone = MatchingResults(settings={}, grids=tuple(one))
    assert alone.spread_over == "grids"
    assert str(alone.spread_of("sift", "correct")) == "200.000 (141.421)"
    assert str(alone.spread_of("sift", "tile_px")) == "1.500 (0.000)"
    assert str(alone.spread_of("sift", "tile_most_px")) == "4.000 (0.000)"
    assert alone.spread_of("sift", "psnr_db") is None
    other = [grid_score("s1", "g0", "sift", 400), grid_score("s0", "g0", "xfeat", 250)]
    several = MatchingResults(settings={}, grids=(*one, *other))
    assert several.spread_over == "data sets"
    assert str(several.spread_of("sift", "correct")) == "300.000 (141.421)"
    assert "- correct matches of xfeat against sift: -17 %" in markdown(several)


def test_the_worst_the_median_and_the_best_pair_are_shown() -> None:
    errors = {0: 3.0, 1: math.inf, 2: 0.5, 3: 1.0, 4: 2.0}
    assert worst_median_best(errors) == {"worst": 1, "median": 4, "best": 2}
    assert worst_median_best({0: 1.0}) == {"worst": 0, "median": 0, "best": 0}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["surf"], r"unknown matcher; value surf; limit sift, phase"),
        (["sift", "sift"], "a matcher is named twice; value sift"),
        (["sift=weights.pt"], "sift has no weights"),
    ],
)
def test_matchers_that_cannot_be_had_are_refused_by_name(names: list[str], said: str) -> None:
    with pytest.raises(NightscopeError, match=said):
        opened(names)


def test_tiles_said_to_lie_apart_and_a_set_named_twice_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    truth: dict[str, Any] = write_set(tmp_path / "apart")
    truth["grids"][0]["tiles"][1]["nominal_px"] = [900.0, 40.0]
    (tmp_path / "apart/truth.json").write_text(json.dumps(truth))
    with pytest.raises(NightscopeError, match=r"r000_c000 and r000_c001 are said to lie apart"):
        evaluate([tmp_path / "apart"], [], TERMS, out=tmp_path / "out", progress=silent)
    with pytest.raises(NightscopeError, match="two data sets have one name; value seed0, seed0"):
        evaluate([folder, folder], [], TERMS, out=tmp_path / "out", progress=silent)


def test_the_command_line_says_what_is_wrong_on_one_line(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        app, ["export", "demis-evaluate", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    assert ended.exit_code == 3
    assert "truth.json: No such file or directory. name a folder" in ended.output
    assert not (tmp_path / "out").exists()


def test_every_matcher_on_offer_is_in_the_help() -> None:
    said = CliRunner().invoke(app, ["export", "demis-evaluate", "--help"], env={"COLUMNS": "200"})
    assert all(name in said.output for name in OFFERS)
