"""The loop on fields that are not as they should be: what it says of each, and no lamp left on."""

from collections import Counter

import pytest

from tests.runtime.focus.fields import CASES, DEPTH_UM, draw, judge, seen_by_the_loop

SEED = 4000


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_field_is_told_for_what_it_is(case):
    drawn = draw(case, SEED)
    assert judge(case, drawn, seen_by_the_loop(drawn)) == ""


@pytest.mark.slow
def test_of_two_hundred_fields_hardly_one_is_told_wrong():
    wrong = Counter()
    for number in range(209):
        case = list(CASES)[number % len(CASES)]
        drawn = draw(case, SEED + number)
        wrong[judge(case, drawn, seen_by_the_loop(drawn))] += 1
    right = wrong.pop("")
    assert right >= 0.98 * 209, wrong
    assert not {"a lamp burns", "beyond a limit"} & set(wrong)


def test_leds_that_were_swapped_are_told_and_cost_no_focus():
    told = []
    for seed in range(SEED, SEED + 6):
        drawn = draw("LEDs swapped", seed)
        drawn.paired = True
        found = seen_by_the_loop(drawn)
        assert judge("LEDs swapped", drawn, found) == ""
        told.append((found.by, "are the LEDs swapped?" in found.verdict.reason))
    assert told == [("sweep", True)] * 6


def test_focus_that_the_stage_does_not_go_to_is_lost():
    """It is stuck where the first look is taken from, so that nothing else is wrong with that."""
    drawn = draw("stage stuck, says so", SEED)
    drawn.paired, drawn.start_um, drawn.sigma_um = True, drawn.focus_um, 0.1 * DEPTH_UM
    drawn.field.carriage_um = drawn.focus_um - 1.5 * DEPTH_UM
    verdict = seen_by_the_loop(drawn).verdict
    assert verdict.status == "lost"
    assert "but the stage stands at" in verdict.reason
