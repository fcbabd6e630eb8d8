"""The evaluation of networks for defocus: scores of known answers, and the verb all the way."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from export.__main__ import app
from export.evaluate.focus.results import DefocusRow, FocusResults
from export.evaluate.focus.run import evaluate
from export.evaluate.focus.score import FrameAnswer, score
from export.evaluate.focus.table import markdown
from runtime.errors import ConfigRefused
from runtime.tasks.focus.regressor import FrameDefocus
from tests.export import tiny_focus

pytestmark = pytest.mark.export


def answer(z_um: float, said_um: float, sigma_um: float, doubt: str = "") -> FrameAnswer:
    told = FrameDefocus(z_um=said_um, sigma_um=sigma_um, doubt=doubt)
    return FrameAnswer(group="mixed", z_um=z_um, told=told, took_ms=4.0)


def test_scores_of_known_answers() -> None:
    found = score(
        [
            answer(10, 11, 2.0),
            answer(-10, 9, 1.0),
            answer(1, -1, 3.0),
            answer(20, 20, 5.0),
            answer(5, 0, math.inf),
            answer(5, 5, 1.0, doubt="never seen"),
        ],
        depth_um=8.0,
    )
    assert (found.frames, found.took_ms) == (6, 4.0)
    assert found.told == pytest.approx(4 / 6)
    assert found.mae_um == pytest.approx((1 + 19 + 2 + 0) / 4)
    # Within a depth of field there is no side.
    assert found.wrong_side == pytest.approx(1 / 3)
    assert (found.within_sigma, found.within_2_sigma) == (0.75, 0.75)
    assert found.usable == pytest.approx(2 / 6)
    assert found.usable_p95_um == pytest.approx(1 + 0.95 * 18)


def test_nothing_told_is_said_so_and_not_as_no_error() -> None:
    found = score([answer(10, 0, math.inf)], depth_um=8.0)
    assert found.told == 0
    assert math.isnan(found.mae_um)
    row = DefocusRow(
        seed=0, inputs="image", precision="int8", group="mixed", model_bytes=2500, score=found
    )
    table = markdown(FocusResults(settings={"range": "±5 µm"}, rows=(row,)))
    assert "| image | int8 | 0.00 | none | none |" in table


def test_seeds_are_a_mean_and_a_deviation() -> None:
    rows = [
        DefocusRow(
            seed=seed,
            inputs="image",
            precision="fp32",
            group="all",
            model_bytes=2500,
            score=score([answer(10, 10 + off, 2.0)], depth_um=8.0),
        )
        for seed, off in enumerate((1.0, 2.0, 3.0))
    ]
    results = FocusResults(settings={}, rows=tuple(rows))
    found = results.spread_of("mae_um", inputs="image", group="all")
    assert found is not None
    assert (found.mean, found.std, found.count) == (2.0, 1.0, 3)
    assert "| image | fp32 | 4.0 (0.0) | 2 (0) |" in markdown(results)


@pytest.fixture
def configs(tmp_path: Path) -> list[Path]:
    """Two networks of the same frames, of an epoch each."""
    paths = []
    for name in ("image", "spectrum"):
        text = tiny_focus.CONFIG.replace('"image", "spectrum"', f'"{name}"')
        text = text.replace("epochs = 2", "epochs = 1").replace("fields = 48", "fields = 16")
        paths.append(tmp_path / f"{name}.toml")
        paths[-1].write_text(text)
    return paths


def test_what_cannot_share_a_table_is_refused(configs: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(configs[0].read_text().replace("range_um = 12.0", "range_um = 15.0"))
    for pair, message in (
        ([configs[0], other], "differ in 'optics'"),
        ([configs[0], configs[0]], "the same inputs"),
    ):
        with pytest.raises(ConfigRefused, match=message):
            evaluate(pair, None, out=tmp_path / "out", seeds=1)
    told = CliRunner().invoke(
        app,
        ["evaluate", "--out", "o", "--inputs", "lbp1", "--configs", str(configs[0])],
    )
    assert isinstance(told.exception, ConfigRefused)
    assert "are for classifiers" in str(told.exception)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_verb_trains_judges_and_writes_a_table(configs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = evaluate(configs, None, out=out, seeds=1, frames=1)
    assert results.names("inputs") == ["image", "spectrum"]
    assert results.names("precision") == ["fp32", "int8"]
    assert {"all", "dense", "sparse mixed", "beyond the range"} <= set(results.names("group"))
    held = json.loads((out / "results.json").read_text())
    assert len(held["rows"]) == len(results.rows) == 2 * 2 * 9
    table = (out / "table.md").read_text()
    assert "## weak phase\n" in table
    assert "- trained on: 64 crops of 64 px of made-up textures\n" in table
    sizes = {row.precision: row.model_bytes for row in results.rows if row.inputs == "spectrum"}
    assert sizes["int8"] < sizes["fp32"]
