"""The life of a tile: one row a stage, walked by everything that has to know it.

A stage takes what it `needs` from the tile's journey, by name, and adds what it `gives`. The
control loop walks its rows, the compute worker the others. The meter times every row against its
budget, the journal keeps what a row says it `keeps`, and a resumed run, or one that works on stored
tiles without an instrument, asks each row whether what it gives is known `already` and does it
again where it is not. Report and summary read the rows back from the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runtime.config.plan import PlannedTile
from runtime.errors import ConfigRefused
from runtime.night.acquire import Acquirer
from runtime.night.intake import Intake
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StageBudget, StoredTile, TileState
from runtime.record.trouble import again
from runtime.tile import Label, Matches, Phase, Picture, Pixels, Placement, Shot, StackFrame

CONTROL, WORKER = "control", "worker"
BOTH, OVERVIEW = ("overview", "visit"), ("overview",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What is known of one tile so far; None is what no stage has given yet.

    `raw` is the frame as it left the camera, of several `frames` the main one, `picture` the same
    after dark and flat field, `moved` every placement that changed when this tile was placed. It is
    `hurried` when others wait.
    """

    tile_id: str
    phase: Phase
    planned: PlannedTile | None = None
    focus: FocusRow | None = None
    shot: Shot | None = None
    raw: Pixels | None = None
    frames: tuple[StackFrame, ...] = ()
    state: TileState | None = None
    stored: StoredTile | None = None
    picture: Picture | None = None
    label: Label | None = None
    hurried: bool = False
    matches: Matches | None = None
    moved: Mapping[str, Placement] | None = None

    @classmethod
    def to(cls, planned: PlannedTile) -> Journey:
        """Return the beginning of a planned tile's journey."""
        return cls(tile_id=planned.tile_id, phase=planned.phase, planned=planned)

    @classmethod
    def of(cls, stored: StoredTile) -> Journey:
        """Return the journey of a tile that was stored before, from there on."""
        shot = stored.shot
        return cls(tile_id=shot.tile_id, phase=shot.phase, shot=shot, stored=stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileStage:
    """One step of a tile's life.

    `run` is a method of the side it runs `on`, `Acquirer` or `Intake`, called with the values of
    `needs`. `keeps` writes what it gave into the journal, with the tile's id; `already` returns
    all of what an earlier session gave, or None. A stage that keeps nothing is done again only when
    a later one needs what it gives. `phases` are those of the night in which tiles pass here. A
    budget is that of a tile of one frame; `per_frame` it is of each.
    """

    name: str
    budget_ms: float
    on: str
    run: Callable[..., Any]
    needs: tuple[str, ...]
    gives: tuple[str, ...] = ()
    keeps: Callable[..., None] | None = None
    already: Callable[[Intake, StoredTile], tuple[Any, ...] | None] | None = None
    phases: tuple[str, ...] = OVERVIEW
    per_frame: bool = False

    def step(self, side: Acquirer | Intake, journey: Journey) -> Journey:
        """Return the journey one stage on."""
        given = self.run(side, *(getattr(journey, name) for name in self.needs))
        return self.given(journey, given if len(self.gives) > 1 else (given,)[: len(self.gives)])

    def given(self, journey: Journey, values: Sequence[Any]) -> Journey:
        """Return the journey with what this stage gives."""
        return replace(journey, **dict(zip(self.gives, values, strict=True)))

    def keep(self, journal: Journal, journey: Journey) -> None:
        """Write what this stage gave into the journal."""
        value = getattr(journey, self.gives[0]) if self.gives else None
        if self.keeps is not None and value is not None:
            self.keeps(journal, journey.tile_id, value)


def _keep_placements(journal: Journal, _: str, moved: Mapping[str, Any]) -> None:
    journal.set_placements(list(moved.values()))


# Budgets are 99th percentiles. Mechanics: a real stage crosses a field in 0.3 s, and a sweep of
# some 20 frames takes about 8 s on today's instruments. The worker's rows must, together, fit
# behind one field's mechanics.
STAGES: tuple[TileStage, ...] = (
    TileStage(
        name="move", budget_ms=2000, on=CONTROL, phases=BOTH,
        run=Acquirer.move, needs=("planned",),
    ),
    TileStage(
        name="focus", budget_ms=12000, on=CONTROL, phases=BOTH,
        run=Acquirer.focus, needs=("planned",), gives=("focus",),
    ),
    TileStage(
        name="expose", budget_ms=500, on=CONTROL, phases=BOTH,
        run=Acquirer.expose, needs=("planned", "focus"), gives=("shot", "raw", "frames"),
        already=Intake.read_back, per_frame=True,
    ),
    TileStage(
        name="watch", budget_ms=20, on=CONTROL, phases=BOTH,
        run=Acquirer.watch, needs=("shot", "raw", "focus"), gives=("state",),
    ),
    TileStage(
        name="store", budget_ms=500, on=WORKER, phases=BOTH,
        run=Intake.store, needs=("shot", "raw", "frames", "focus", "state"),
        gives=("stored",),
        per_frame=True,
    ),
    TileStage(
        name="correct", budget_ms=30, on=WORKER,
        run=Intake.correct, needs=("shot", "raw"), gives=("picture",),
    ),
    TileStage(
        name="classify", budget_ms=250, on=WORKER,
        run=Intake.classify, needs=("picture", "raw"), gives=("label",),
        keeps=Journal.set_label, already=Intake.known_label,
    ),
    TileStage(
        name="register", budget_ms=300, on=WORKER,
        run=Intake.register, needs=("shot", "picture", "hurried"), gives=("matches",),
        keeps=Journal.set_matches, already=Intake.known_matches,
    ),
    TileStage(
        name="solve", budget_ms=150, on=WORKER,
        run=Intake.solve, needs=("shot", "matches"), gives=("moved",),
        keeps=_keep_placements, already=Intake.known_place,
    ),
    TileStage(
        name="render", budget_ms=1200, on=WORKER,
        run=Intake.render, needs=("moved",),
    ),
)  # fmt: skip
# Writing down what all of them gave: one transaction a tile, timed like a stage.
TILES_A_TRANSACTION = 50
RECORD = StageBudget(stage="record", budget_ms=200, mechanics=False)
# Between tiles: the next one waits for as long at most, and the belt has room for more.
SECOND_LOOK = StageBudget(stage="second-look", budget_ms=4000, mechanics=False)


def budgets(overrides_ms: Mapping[str, float], *, frames_a_tile: int = 1) -> list[StageBudget]:
    """Return every stage's budget, the instrument's own where its settings give one.

    Where tiles have several frames, a stage that handles each has the time of each.

    Raises ConfigRefused for a budget of a stage that there is not.
    """
    rows = [
        StageBudget(stage=s.name, budget_ms=s.budget_ms, mechanics=s.on == CONTROL) for s in STAGES
    ]
    rows += [RECORD, SECOND_LOOK]
    names = [row.stage for row in rows]
    for name in overrides_ms:
        if name not in names:
            raise ConfigRefused(
                "settings give a budget to an unknown stage",
                value=f"budgets_ms.{name}",
                limit=", ".join(names),
                remedy="name one of these",
            )
    per_frame = {stage.name for stage in STAGES if stage.per_frame}
    return [
        replace(
            row,
            budget_ms=overrides_ms.get(row.stage, row.budget_ms)
            * (frames_a_tile if row.stage in per_frame else 1),
        )
        for row in rows
    ]


def acquire(acquirer: Acquirer, journey: Journey, meter: Meter) -> Journey:
    """Take a tile: the control loop's stages. Raises CameraFailed when no frame came."""
    return _walk(CONTROL, acquirer, journey, meter)


def take_in(intake: Intake, journey: Journey, meter: Meter) -> Journey:
    """Bring a tile from the camera into map and journal: the worker's stages."""
    journey = _walk(WORKER, intake, journey, meter)
    fresh = meter.drain()

    def keep() -> None:
        with intake.journal.transaction():
            for stage in _passed(WORKER, journey):
                stage.keep(intake.journal, journey)
            intake.journal.add_timings(fresh)

    with meter.time(RECORD.stage, journey.tile_id):
        again(keep)
    return journey


def take_up(intake: Intake, stored: StoredTile) -> Journey:
    """Bring a stored tile as far as `take_in` would have, doing only what the journal lacks.

    Solving and drawing are left to `catch_up`, which does both for all tiles at once.
    """
    journey = Journey.of(stored)
    for stage in _passed(WORKER, journey):
        if stage.keeps is not None:
            journey = _supplied(intake, stage, journey)
    return journey


def catch_up(intake: Intake) -> None:
    """Bring labels, matches, placements and mosaic up to what is stored; needs no instrument."""
    recall(intake)
    moved = intake.stitcher.moved()
    intake.journal.set_placements(list(moved.values()))
    intake.render(moved)


def recall(intake: Intake) -> None:
    """Bring labels and matches up to what is stored, and the stitcher with them; solve and draw
    nothing.
    """
    stored = intake.journal.tiles("overview")
    for first in range(0, len(stored), TILES_A_TRANSACTION):
        with intake.journal.transaction():
            for tile in stored[first : first + TILES_A_TRANSACTION]:
                take_up(intake, tile)


def _walk(on: str, side: Acquirer | Intake, journey: Journey, meter: Meter) -> Journey:
    for stage in _passed(on, journey):
        with meter.time(stage.name, journey.tile_id):
            journey = stage.step(side, journey)
    return journey


def _passed(on: str, journey: Journey) -> list[TileStage]:
    return [stage for stage in STAGES if stage.on == on and journey.phase in stage.phases]


def _supplied(intake: Intake, stage: TileStage, journey: Journey) -> Journey:
    """Return the journey with what a stage gives: known already, or given again and kept.

    What the stage itself needs is supplied first, so a tile is read and corrected only when
    something derived from its pixels is missing.
    """
    assert journey.stored is not None
    if stage.already is not None:
        known = stage.already(intake, journey.stored)
        if known is not None:
            return stage.given(journey, known)
    for name in stage.needs:
        if getattr(journey, name) is None:
            journey = _supplied(intake, _GIVER[name], journey)
    journey = stage.step(intake, journey)
    stage.keep(intake.journal, journey)
    return journey


_GIVER = {name: stage for stage in STAGES for name in stage.gives}
