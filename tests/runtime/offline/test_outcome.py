"""When a stitch has matched, where every tile looks blank."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from runtime.offline.outcome import judge
from runtime.offline.placing import Solved
from runtime.report.ending import Ending
from runtime.tile import Placement, Seam


def row_of(matched: int, *, of: int) -> Solved:
    """Return a row of tiles that all look blank, the first so many seams of which matched."""
    names = [f"{n:03}" for n in range(of + 1)]
    held = set(names[: matched + 1]) if matched else set()
    return Solved(
        placed={
            name: Placement(
                tile_id=name, x_px=9.0 * n, y_px=0, flag="" if name in held else "blank"
            )
            for n, name in enumerate(names)
        },
        seams=tuple(
            Seam(
                a=a, b=b, dx_px=9, dy_px=0, residual_px=0, ncc=0.3,
                method="phase" if n < matched else "none",
            )
            for n, (a, b) in enumerate(pairwise(names))
        ),
        textured=frozenset(),
    )  # fmt: skip


def test_nothing_is_called_matched_that_needs_attention() -> None:
    inventory = SimpleNamespace(left_out=[], flat={})
    told = Ending(attention=("the specimen repeats",))
    outcome = judge(row_of(12, of=12), inventory, name=str, seen=told)  # type: ignore[arg-type]
    assert (outcome.verdict, outcome.ending.attention) == ("partly", told.attention)


@pytest.mark.parametrize(
    ("matched", "of", "verdict"),
    [(0, 40, "nothing"), (1, 12, "nothing"), (2, 150, "nothing"), (8, 12, "matched")],
)
def test_tiles_that_look_blank_are_faint_where_more_match_than_chance_lets_pass(
    matched: int, of: int, verdict: str
) -> None:
    inventory = SimpleNamespace(left_out=[], flat={})
    outcome = judge(row_of(matched, of=of), inventory, name=str)  # type: ignore[arg-type]
    assert outcome.verdict == verdict
    if verdict == "matched":
        assert "4 tiles blank" in outcome.ending.assumed[-1]
