"""Who is asked for focus first, with which record, and what a run takes along for it."""

from pathlib import Path

import pytest

from runtime.config.plan_file import parse_plan_text
from runtime.config.settings import parse_settings
from runtime.errors import ModelRefused
from runtime.focus.led_pair import PairSlope
from runtime.night.measurers import measurers
from runtime.night.seal import bundles_of
from tests.night_fakes import PLAN
from tests.runtime.focus.test_network import Looks, pair_record
from tests.simulated import SIMULATED

SLOPE = PairSlope(x_px_per_um=-0.8, y_px_per_um=0.0, sigma_px_per_um=0.001)


def settings(more=""):
    return parse_settings(SIMULATED + more, source=Path("settings.toml"), base=Path("/"))


def test_the_network_is_asked_before_the_pair_and_neither_without_a_record():
    record = pair_record(SLOPE)
    asked = measurers(settings(), record, objective="10x", network=Looks())
    assert [(one.name, len(one.lamps)) for one in asked] == [("network", 1), ("led-pair", 2)]
    assert [one.name for one in measurers(settings(), record, objective="10x")] == ["led-pair"]
    assert measurers(settings(), None, objective="10x", network=Looks()) == []


def test_a_run_that_looks_with_a_network_takes_it_along_or_is_refused():
    plan = parse_plan_text(PLAN, source="plan")
    assert "focus" not in bundles_of(plan, settings())
    wanted = '[focus]\nfirst = "network"\n[models]\nfocus = "{}"\n'
    with pytest.raises(ModelRefused, match="no model bundle 'defocus'"):
        bundles_of(plan, settings(wanted.format("defocus")))
    # Whether it is for that task is asked when it is opened.
    assert bundles_of(plan, settings(wanted.format("strip-match")))["focus"].is_file()
