"""The whole evaluation: data set after data set, grid after grid, and the files it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.datasets.demis import DemisGrid, read_tile, read_truth
from export.evaluate.matching.figures import (
    DrawnPair,
    draw_corner_errors,
    draw_pairs,
    worst_median_best,
)
from export.evaluate.matching.geometry import between
from export.evaluate.matching.grid import neighbours, read_pixels, true_pairs
from export.evaluate.matching.matcher import Matcher, PointMatches
from export.evaluate.matching.picture import PictureScore, compared, inner_part
from export.evaluate.matching.results import TRUE, GridScore, MatchingResults, StitchedScore
from export.evaluate.matching.score import PairOutcome, judged
from export.evaluate.matching.stitched import (
    believed,
    centre_errors_px,
    drawn,
    placed,
    true_places,
)
from export.evaluate.matching.table import markdown
from export.progress import Progress
from runtime.errors import ConfigRefused
from runtime.instrument.camera.files import read_image
from runtime.tile import Pixels, Placement

TABLE, TABLE_CSV, RESULTS, CORNERS = "table.md", "table.csv", "results.json", "corner_errors.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How matchers are judged: `grids` at most of each data set, all of None; a match is correct up
    to `correct_px`; tiles lie within the gate of a stage of `stage_sigma_px`.
    """

    grids: int | None = None
    correct_px: float = 3.0
    stage_sigma_px: float = 12.0
    pictures: bool = True


@dataclass(frozen=True, slots=True)
class FoundPair:
    """Where a pair is to be found again, and what one matcher found of it."""

    folder: Path
    grid: DemisGrid
    tiles: tuple[str, str]
    matches: PointMatches
    corner_px: float

    def drawn(self, said: str) -> DrawnPair:
        """Return the pair with its tiles' pixels."""
        a, b = next((a, b) for a, b in neighbours(self.grid) if (a.name, b.name) == self.tiles)
        of_a, of_b = (read_tile(self.folder, t, shape_px=self.grid.tile_shape) for t in (a, b))
        off = f"corners off by {self.corner_px:.1f} px"
        title = f"{said}: {_name(self.folder)}, {self.grid.name}, {a.name} and {b.name}, {off}"
        return DrawnPair(title, b.row > a.row, of_a, of_b, self.matches, between(a, b))


@dataclass(frozen=True, slots=True, eq=False)
class DemisScene:
    """One grid of a data set with the pixels of its tiles, by name."""

    folder: Path
    seed: int
    grid: DemisGrid
    pixels: dict[str, Pixels]

    @classmethod
    def of(cls, folder: Path, seed: int, grid: DemisGrid) -> DemisScene:
        """Return a grid, its tiles read."""
        return cls(folder, seed, grid, read_pixels(folder, grid))

    def compared(self, places: Mapping[str, Placement]) -> PictureScore:
        """Return how like the reference the tiles are, drawn in these places."""
        reference = read_image(self.folder / self.grid.reference)
        shape_px = (reference.shape[0], reference.shape[1])
        part = inner_part(self.grid, shape_px)
        return compared(drawn(places, self.pixels, shape_px=shape_px), reference, part=part)


@dataclass(slots=True)
class Tally:
    """What has been measured so far."""

    scores: list[GridScore] = field(default_factory=list[GridScore])
    found: dict[str, list[FoundPair]] = field(default_factory=dict[str, list[FoundPair]])

    def keep(
        self,
        scene: DemisScene,
        matcher: str,
        outcomes: Sequence[PairOutcome],
        stitched: StitchedScore,
    ) -> None:
        """Take up what a matcher made of a grid."""
        self.scores.append(
            GridScore(
                data=_name(scene.folder),
                seed=scene.seed,
                grid=scene.grid.name,
                matcher=matcher,
                pairs=tuple(outcome.score for outcome in outcomes),
                stitched=stitched,
            )
        )
        for outcome in outcomes:
            ends = outcome.score.a, outcome.score.b
            off_px = float(np.mean(outcome.score.homography_px))
            pair = FoundPair(scene.folder, scene.grid, ends, outcome.matches, off_px)
            self.found.setdefault(matcher, []).append(pair)


def evaluate(
    folders: Sequence[Path],
    matchers: Sequence[Matcher],
    terms: Terms,
    *,
    out: Path,
    progress: Progress,
) -> MatchingResults:
    """Return what the matchers make of the data sets, and leave tables and figures in `out`; the
    tables after every grid.

    The truth of every data set is read, and its files looked for, before anything is matched.
    Raises InputRefused and ConfigRefused as `read_truth` does, and for two data sets of one name.
    """
    names = [_name(folder) for folder in folders]
    if len({*names}) < len(names):
        raise ConfigRefused(
            "two data sets have one name", value=", ".join(names), remedy="Give each its own"
        )
    truths = [read_truth(folder) for folder in folders]
    chosen = [
        (folder, truth.seed, grid)
        for folder, truth in zip(folders, truths, strict=True)
        for grid in truth.grids[: terms.grids]
    ]
    total = len(matchers) * sum(len(neighbours(grid)) for _, _, grid in chosen)
    out.mkdir(parents=True, exist_ok=True)
    tally, done, settings = Tally(), 0, _said(names, terms, chosen)
    for folder, seed, grid in chosen:
        scene = DemisScene.of(folder, seed, grid)
        known = list(true_pairs(grid, scene.pixels, stage_sigma_px=terms.stage_sigma_px))
        for matcher in matchers:
            outcomes = []
            for one in known:
                outcomes.append(judged(matcher, one, correct_px=terms.correct_px))
                done += 1
                progress("pairs", done, total, f"{_name(folder)} {grid.name}, {matcher.name}")
            tally.keep(scene, matcher.name, outcomes, _stitched(scene, outcomes, terms))
        if terms.pictures:
            tally.keep(scene, TRUE, [], _drawn_truly(scene))
        _write_tables(MatchingResults(settings=settings, grids=tuple(tally.scores)), out)
    results = MatchingResults(settings=settings, grids=tuple(tally.scores))
    _draw(results, tally, out, terms)
    return results


def _stitched(scene: DemisScene, outcomes: Sequence[PairOutcome], terms: Terms) -> StitchedScore:
    """Return what becomes of a grid by a matcher's pairs."""
    shifts = believed(scene.grid, outcomes, stage_sigma_px=terms.stage_sigma_px)
    places = placed(scene.grid, shifts, stage_sigma_px=terms.stage_sigma_px)
    off_px = tuple(centre_errors_px(scene.grid, places).tolist())
    picture = scene.compared(places) if terms.pictures else None
    return StitchedScore(len(shifts), off_px, picture)


def _drawn_truly(scene: DemisScene) -> StitchedScore:
    """Return what is drawn of a grid where its tiles truly lie: as good as it can be."""
    places = true_places(scene.grid)
    off_px = tuple(centre_errors_px(scene.grid, places).tolist())
    return StitchedScore(len(neighbours(scene.grid)), off_px, scene.compared(places))


def _name(folder: Path) -> str:
    return folder.resolve().name


def _said(
    names: Sequence[str], terms: Terms, chosen: Sequence[tuple[Path, int, DemisGrid]]
) -> dict[str, str]:
    pairs = sum(len(neighbours(grid)) for _, _, grid in chosen)
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(seed for _, seed, _ in chosen))
    return {
        "data": ", ".join(names),
        "seeds": seeds,
        "pairs": f"{pairs} of {len(chosen)} grids",
        "correct": f"within {terms.correct_px:g} px of where the truth puts it",
        "stage": f"standard error {terms.stage_sigma_px:g} px",
    }


def _write_tables(results: MatchingResults, out: Path) -> None:
    results.write(out / RESULTS)
    (out / TABLE).write_text(markdown(results), encoding="utf-8")
    (out / TABLE_CSV).write_text(results.to_csv(), encoding="utf-8")


def _draw(results: MatchingResults, tally: Tally, out: Path, terms: Terms) -> None:
    draw_corner_errors(results, out / CORNERS)
    for matcher, found in tally.found.items():
        picked = worst_median_best({i: one.corner_px for i, one in enumerate(found)})
        drawn = [found[index].drawn(said) for said, index in picked.items()]
        draw_pairs(drawn, out / f"pairs_{matcher}.png", correct_px=terms.correct_px)
