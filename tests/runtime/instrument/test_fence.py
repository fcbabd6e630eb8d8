"""A stage that does not know where it stands, and where it may go all the same."""

from dataclasses import dataclass, field

import pytest

from runtime.instrument.errors import LimitHit, NotHomed
from runtime.instrument.fence import FencedStage, room_around
from runtime.tile import StageLimits, StagePosition

LIMITS = StageLimits(x_um=(-100.0, 100.0), y_um=(-100.0, 100.0), z_um=(-20.0, 20.0))
REACH_UM = {"x_um": 50.0, "y_um": 50.0, "z_um": 10.0}
NAMED = StagePosition(x_um=7.0, y_um=8.0, z_um=9.0)


@dataclass
class Stage:
    stage_id: str = "a stage"
    failsafe: bool = True
    limits: StageLimits = LIMITS
    moves: list[dict[str, float | None]] = field(default_factory=list)

    def home(self) -> None:
        raise AssertionError("homed")

    def move_to(self, **named: float | None) -> StagePosition:
        self.moves.append(named)
        return NAMED

    def position(self) -> StagePosition:
        return NAMED

    def stop(self) -> None:
        self.moves.clear()


def test_the_box_reaches_no_further_than_is_left_beyond_where_it_may_stand():
    within = StageLimits(x_um=(-90.0, 20.0), y_um=(-110.0, 60.0), z_um=(0.0, 0.0))
    box = room_around(NAMED, within=within, limits=LIMITS, reach_um=REACH_UM)
    assert box.x_um == (7.0 - 10.0, 7.0 + 50.0)
    assert box.y_um == (8.0, 8.0 + 40.0)
    assert box.z_um == (9.0 - 10.0, 9.0 + 10.0)


@pytest.mark.parametrize("stands_um", [-90.0, 20.0])
def test_wherever_it_stands_in_there_the_ends_of_the_box_lie_inside_its_travel(stands_um):
    within = StageLimits(x_um=(-90.0, 20.0), y_um=(0.0, 0.0), z_um=(0.0, 0.0))
    box = room_around(NAMED, within=within, limits=LIMITS, reach_um=REACH_UM)
    assert all(-100 <= stands_um + end - NAMED.x_um <= 100 for end in box.x_um)


def test_what_lies_outside_is_refused_before_anything_moves():
    stage = Stage()
    box = StageLimits(x_um=(0.0, 10.0), y_um=(0.0, 10.0), z_um=(0.0, 10.0))
    fenced = FencedStage(stage=stage, limits=box)
    for target in ({"x_um": -1.0}, {"x_um": 5.0, "y_um": 10.1}, {"z_um": float("nan")}):
        with pytest.raises(LimitHit):
            fenced.move_to(**target)
    with pytest.raises(NotHomed):
        fenced.home()
    assert stage.moves == []
    assert fenced.move_to(x_um=5.0, z_um=0.0) == fenced.position() == NAMED
    assert stage.moves == [{"x_um": 5.0, "y_um": None, "z_um": 0.0}]
    assert (fenced.stage_id, fenced.failsafe) == ("a stage", True)
    fenced.stop()
    assert stage.moves == []
