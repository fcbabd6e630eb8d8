"""The registry of brands, and what is derived from it."""

import re
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from firmware_bridge.drivers import registry
from firmware_bridge.drivers.brand import PARTS, BoardOptions
from firmware_bridge.drivers.registry import BRANDS, brand, names
from firmware_bridge.errors import FirmwareIncompatible
from firmware_bridge.text.words import REALTIME
from firmware_bridge.tools import brands
from runtime.clock import SystemClock
from tests.boards.bench import Bench, benches

DRIVERS = Path(registry.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "boards.md"


def test_the_table_in_the_documentation_is_the_registry(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    renew = "renew it: python -m firmware_bridge.tools.brands docs/boards.md"
    assert brands.table() in text, renew
    stale = tmp_path / "boards.md"
    stale.write_text(text.replace("| `grbl` |", "| `steam` |", 1), encoding="utf-8")
    brands.renew(stale)
    assert stale.read_text(encoding="utf-8") == text


def test_the_documentation_has_a_chapter_for_every_brand():
    text = PAGE.read_text(encoding="utf-8").lower()
    assert all(name in re.findall(r"^## .*?(\w+)", text, re.MULTILINE) for name in names()[1:])


def test_the_documentation_says_what_every_setting_of_a_board_means():
    rows = re.findall(
        r"^\| (?:all|`(\w+)`) \| ((?:`\w+`(?:, )?)+) \| \S.*\|$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    told = {(driver, key) for driver, keys in rows for key in re.findall(r"\w+", keys)}
    assert told == {
        (row.name if field.name != "reopen_s" else "", field.name)
        for row in BRANDS
        for field in fields(row.options)
    }


def test_every_brand_runs_the_suites_for_boards():
    assert {bench.brand for bench in benches()} == set(names())


@pytest.mark.parametrize("bench", benches(), ids=lambda bench: bench.name)
def test_an_open_board_is_what_its_row_says(bench: Bench):
    row, emulated = brand(bench.brand), bench.emulate()
    with ExitStack() as stack:
        stack.enter_context(emulated.host)
        board = row.open(emulated.host.port, clock=SystemClock(), options=emulated.options)
        stack.callback(board.close)
        assert board.driver == row.name
        assert board.failsafe is row.failsafe
        assert (board.watchdog is not None) is row.failsafe
        assert {part for part in PARTS if getattr(board, part) is not None} == bench.parts
        assert bench.parts <= row.offers


@pytest.mark.parametrize("name", names())
def test_a_brand_imports_nothing_of_another(name):
    """Else adding or removing one would touch the other; a contract would have to list them."""
    for file in sorted((DRIVERS / name).glob("*.py")):
        brands_imported = re.findall(r"drivers\.(\w+)\.", file.read_text(encoding="utf-8"))
        assert set(brands_imported) <= {name}, file


def test_a_name_and_a_usb_number_belong_to_one_brand_each():
    numbers = [pair for row in BRANDS for pair in row.greeting.usb_ids]
    assert len(set(names())) == len(BRANDS)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("row", BRANDS, ids=lambda row: row.name)
def test_no_byte_of_a_question_is_a_realtime_command(row):
    """Of GRBL's, which would obey it."""
    assert not REALTIME.keys() & set(row.greeting.data)


def test_an_unknown_brand_is_refused_with_the_names_there_are():
    with pytest.raises(FirmwareIncompatible, match="steam; limit native, sangaboard, grbl"):
        brand("steam")


@pytest.mark.parametrize("row", BRANDS, ids=lambda row: row.name)
def test_options_are_read_from_settings_and_an_unknown_key_is_refused(row):
    settings = TypeAdapter(row.options)
    assert settings.validate_python({"reopen_s": 3}) == replace(row.options(), reopen_s=3)
    with pytest.raises(ValidationError, match="beads"):
        settings.validate_python({"beads": 10})
    assert {"reopen_s"} <= {field.name for field in fields(row.options)}
    assert isinstance(row.options.by_hand(), row.options)


@pytest.mark.parametrize(
    ("driver", "options", "reason"),
    [
        ("native", {"watchdog_ms": 99}, "watchdog_ms must be from 100 to 5000"),
        ("native", {"reopen_s": 0}, "reopen_s must be above 0 and at most 600"),
        ("grbl", {"origin_um": [1, 2]}, "origin_um"),
        ("illuminate", {"na": 1.2}, "na must be above 0 and at most 1"),
        ("illuminate", {"led_groups": {"ring": []}}, "led_groups.ring must name at least one"),
        ("sangaboard", {"x": {"step_nm": 0, "travel_um": [0, 1]}}, "step_nm must be at least 1"),
        ("sangaboard", {"x": {"step_nm": 9, "travel_um": [1, 2]}}, "0, the origin, inside"),
        ("sangaboard", {"x": {"step_um": 9, "travel_um": [0, 1]}}, "step_um"),
    ],
)
def test_options_check_themselves(driver, options, reason):
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(brand(driver).options).validate_python(options)


def test_every_options_record_waits_for_a_plug_as_long():
    assert {row.options().reopen_s for row in BRANDS} == {BoardOptions().reopen_s}
