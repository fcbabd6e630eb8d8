"""Plans and settings of any content: read, or refused by name on one short line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.config.plan import Plan, tile_positions
from runtime.config.plan_file import load_plan
from runtime.config.settings import load_settings
from runtime.errors import ConfigRefused
from tests.untrusted import refused

PLAN = "name: a\nobjective: 10x\ngrid: {rows: 2, columns: 2, centre_um: [0, 0]}\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join(['*' + old] * 9)}]}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

PLANS: dict[str, tuple[str | bytes, str]] = {
    "bytes": (bytes(range(128, 256)) * 9, "not a text file"),
    "UTF-16": (PLAN.encode("utf-16"), "not a text file; value byte 0xff at 0; limit UTF-8"),
    "brackets": ("a: " + "[" * 50, "nested too deeply"),
    "indentation": ("".join(" " * i + "a:\n" for i in range(50)), "nested too deeply"),
    "aliases": (LAUGHS + f"name: *i\n{PLAN}", "aliases stand for too much|given twice"),
    "aliases in a value": (LAUGHS + "light: *i\n", "aliases stand for too much"),
    "merges": (MERGES, "merges another mapping"),
    "itself": ("&a {name: *a}", "nested too deeply"),
    "digits": (
        PLAN + "exposure_ms: " + "9" * 5000,
        r"holds no such value: a number of too many digits\. mend",
    ),
    "minutes for a number": (PLAN + "exposure_ms: 1:30\n", "exposure_ms' is '1:30'; .*number"),
    "a key twice": (PLAN + "name: b\n", "the key 'name' is given twice.*line 4"),
    "a number for a key": ("1: 2\n", "a key is no word; value 1"),
    "many keys": ("".join(f"k{i}: 1\n" for i in range(300)), "and 298 more"),
    "a long key": ("x" * 90_000 + ": 1\n", "not YAML"),
    "a terminal's colours": ('"\\e[31mk": 1\n', "unknown key"),
    "too large": ("#" * 2**19, "too large; value 524288 bytes; limit 262144 bytes"),
    "NaN in a region": (PLAN.replace("grid:", "region: {x_um: [.nan, 1], y_um: [0, 1]} #"), "nite"),
    "infinite region": (
        PLAN.replace("grid:", "region: {x_um: [-.inf, .inf], y_um: [0, 1]} #"),
        "finite number",
    ),
    "no exposure": (PLAN + "exposure_ms: 1e-9\n", "greater than or equal to 0.001"),
    "a hundred days": (PLAN + "exposure_ms: 9e+9\n", "less than or equal to 600000"),
    "infinite exposure": (PLAN + "exposure_ms: .inf\n", "finite number"),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_plan_that_is_none_is_refused_in_one_short_line(tmp_path: Path, case: str) -> None:
    content, says = PLANS[case]
    path = tmp_path / "plan.yaml"
    refused(path, content, lambda: load_plan(path), refuse=ConfigRefused, says=says)


SETTINGS: dict[str, tuple[str | bytes, str]] = {
    "bytes": (bytes(range(128, 256)), "not a text file"),
    "brackets": ("a = " + "[" * 3000, "nested too deeply"),
    "dots": ("a" + ".a" * 1200 + " = 1", "nested too deeply|not TOML|missing"),
    "digits": ("a = " + "9" * 5000, r"holds no such value: a number of too many digits\. mend"),
    "many keys": ("".join(f"k{i} = 1\n" for i in range(300)), "more"),
    "too large": ("#" * 2**19, "too large"),
    "yes for a number": (
        "[stage]\ndriver='simulated'\n[motion]\napproach_um = true\n",
        "approach_um' is True; a number is meant",
    ),
    "NaN": ("[stage]\ndriver='simulated'\n[motion]\napproach_um = nan\n", "approach_um' is nan"),
    "infinite": (
        "[stage]\ndriver='simulated'\n[motion]\napproach_um = inf\n",
        "approach_um' is inf; input should be a finite",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_are_none_are_refused_in_one_short_line(tmp_path: Path, case: str) -> None:
    content, says = SETTINGS[case]
    path = tmp_path / "settings.toml"
    refused(path, content, lambda: load_settings(path), refuse=ConfigRefused, says=says)


def test_aliases_of_a_few_values_are_read(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        "name: &it a\nobjective: *it\ngrid: {rows: 2, columns: 2, centre_um: [0, 0]}\n"
    )
    assert load_plan(tmp_path / "plan.yaml").objective == "a"


@pytest.mark.parametrize("name", ["2026-11-30", "007", "12:30", "0x7g", "1.5.2"])
def test_a_name_may_look_like_a_date_or_a_number(tmp_path: Path, name: str) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("name: a", f"name: {name}"))
    assert load_plan(tmp_path / "plan.yaml").name == name


@pytest.mark.parametrize(
    ("written", "exposure_ms"),
    [("010", 10), ("1e1", 10), ("+8", 8), (".5", 0.5), ("1_000", 1000), ("0x10", 16), ("08", 8)],
)
def test_a_number_is_the_one_that_people_read(
    tmp_path: Path, written: str, exposure_ms: float
) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN + f"exposure_ms: {written}\n")
    assert load_plan(tmp_path / "plan.yaml").exposure_ms == exposure_ms


REGION: Callable[[float], dict[str, object]] = lambda half: {  # noqa: E731
    "region": {"x_um": (-half, half), "y_um": (-half, half)}
}


@pytest.mark.parametrize(
    "area",
    [
        {"grid": {"rows": 1000, "columns": 1000, "centre_um": (0, 0)}},
        REGION(1e6),
        REGION(1e300),
    ],
)
def test_an_endless_plan_is_refused_before_its_tiles_are_laid_out(area: dict[str, object]) -> None:
    plan = Plan.read({"name": "a", "objective": "10x", **area}, source="plan.yaml")
    with pytest.raises(ConfigRefused, match=r"too many tiles; value .*; limit 100000\. shrink"):
        tile_positions(plan, width_px=512, height_px=448, stage_from_px=0.5 * np.eye(2))
