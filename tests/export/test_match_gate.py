"""Int8 of a matcher passes or is refused by how many cells it matches, and how well."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.convert.parts import ModelParts
from export.quantise import part_outputs, quantise
from export.tasks.match.build import PairJudge
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs
from runtime.tasks.match.record import CELL_PX, CONFIDENCE, STRIPS, StripInput
from tests.runtime.inference import tiny_match as tiny

pytestmark = pytest.mark.export
COUNT = 12
PARTS = ModelParts(streams={"backbone": tiny.backbone()}, tail=tiny.head())


def moved(pair: int) -> tuple[int, int]:
    return pair % 3 - 1, pair // 3 % 3 - 1


def views() -> list[Inputs]:
    """Return pairs whose second strip begins a cell further or nearer, or where the first does."""
    height_px, width_px = tiny.SHAPE_PX
    shown = StripInput(height_px=height_px, width_px=width_px)
    made = []
    for pair in range(COUNT):
        world, (down, across) = tiny.specimen(pair), moved(pair)
        strips = [tiny.cut(world), tiny.cut(world, down=2 + down, across=2 + across)]
        made.append(shown.inputs(strips, lambda name: np.load(name)))
    return made


def judge() -> PairJudge:
    """Return who knows where the cells lie: by so many cells nearer, and the network's own offset.

    A cell that left the second strip lies nowhere.
    """
    rows, columns = np.divmod(np.arange(tiny.CELLS), tiny.COLUMNS)
    places = []
    for pair in range(COUNT):
        down, across = moved(pair)
        there = np.stack([rows - down, columns - across], axis=1)
        inside = np.all((there >= 0) & (there < (tiny.ROWS, tiny.COLUMNS)), axis=1)
        places.append(np.where(inside[:, None], CELL_PX * there + tiny.OFF_PX, np.nan))
    return PairJudge(places_px=np.array(places, np.float32), columns=tiny.COLUMNS)


def test_the_parts_together_say_what_the_whole_says() -> None:
    seen = views()
    found = part_outputs(PARTS, seen)
    wanted = np.concatenate([tiny.sure(one)[CONFIDENCE] for one in seen])
    assert np.abs(found[CONFIDENCE] - wanted).max() < 1e-5
    assert judge().metrics(found) == {"matched": 1.0, "precision": 1.0, "within_1px": 1.0}


def test_int8_that_matches_as_well_passes_on_every_back_end() -> None:
    seen = views()
    quantised = quantise(PARTS, seen, seen, judge())
    assert quantised.kept == ()
    assert (quantised.alike, quantised.decisions) == (COUNT, COUNT)
    assert quantised.metrics["int8"]["matched"] > 0.98
    assert len(backends()) > 1


def test_int8_that_matches_fewer_cells_is_refused_by_that_measure() -> None:
    """Calibrated on strips of a hundredth of the contrast, it clips what it is judged on."""
    faint = [{STRIPS: one[STRIPS] / 100} for one in views()]
    with pytest.raises(ModelRefused, match=r"int8 loses too much matched.*limit 0\.020 below fp32"):
        quantise(PARTS, faint, views(), judge())


def test_int8_that_places_its_matches_worse_is_refused_by_that_measure() -> None:
    class Careless(PairJudge):
        """Of int8, whose confidences are other ones, it reads places half a cell off."""

        def metrics(self, outputs: Outputs) -> dict[str, float]:
            exact = part_outputs(PARTS, views())[CONFIDENCE]
            off = 0.0 if np.array_equal(outputs[CONFIDENCE], exact) else 2.0
            return dict(super().metrics({**outputs, "offset_px": outputs["offset_px"] + off}))

    one = judge()
    careless = Careless(places_px=one.places_px, columns=one.columns)
    with pytest.raises(ModelRefused, match="int8 loses too much within_1px"):
        quantise(PARTS, views(), views(), careless)
