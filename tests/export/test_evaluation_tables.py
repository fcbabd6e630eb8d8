"""From scores to tables and lists of mistakes, on results made up so that each number is known."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from export.evaluate.methods import (
    BASELINE,
    Method,
    Stream,
    distinct_streams,
    paper_cells,
)
from export.evaluate.mistakes import mistakes, wrong_tiles
from export.evaluate.results import FP32, INT8, Results, SeedResult
from export.evaluate.summary import fused_against_members
from export.evaluate.table import markdown, terminal, to_csv

ALONE = Method("compact", "intensity", "none")
LATE = Method("compact", "LBP1,8", "late")
SVM = Method(BASELINE, "uniform", "r = 1")


def scores(predicted, sure=0.8):
    table = np.full((len(predicted), 2), 1 - sure)
    table[np.arange(len(predicted)), predicted] = sure
    return table


def seed_result(seed, alone, late, target=(0, 0, 1, 1), names=("a", "b", "c", "d")):
    return SeedResult(
        seed=seed,
        names=names,
        specimen=("s1", "s1", "s2", "s2"),
        target=np.array(target),
        scores={
            ALONE: {FP32: scores(alone)},
            LATE: {FP32: scores(late), INT8: scores(late, 0.7)},
            SVM: {FP32: scores([0, 0, 0, 0])},
        },
        split={"test images": 4},
    )


@pytest.fixture
def results():
    return Results(
        classes=("other", "wanted"),
        settings={"data": "made up", "epochs": "1"},
        seeds=(
            seed_result(0, alone=[0, 1, 1, 0], late=[0, 0, 1, 1]),
            seed_result(1, alone=[0, 0, 1, 0], late=[0, 1, 1, 1], names=("a", "b", "c", "e")),
            seed_result(2, alone=[1, 0, 1, 0], late=[0, 0, 1, 0]),
        ),
    )


def test_the_table_needs_eight_networks_an_architecture_and_one_for_texture():
    assert len(distinct_streams(paper_cells(["compact"], texture="best"))) == 9
    both = paper_cells(["compact", "resnet50"], texture="best")
    assert len(distinct_streams(both)) == 17
    assert both[-1].streams == (Stream("compact", "intensity"), Stream("resnet50", "intensity"))


def test_every_place_of_the_table_is_filled_once():
    cells = paper_cells(["compact"], texture="best")
    places = [(cell.method.row, cell.method.column) for cell in cells]
    assert len(places) == len(set(places)) == 18
    streams = {place: cell.streams for place, cell in zip(places, cells, strict=True)}
    assert [stream.input_name for stream in streams["multiscale", "late"]] == [
        "intensity", "lbp1", "lbp2", "lbp3",
    ]  # fmt: skip
    assert streams["texture", "late"] == (
        Stream("compact", "intensity"), Stream("best", "texture"),
    )  # fmt: skip


def test_paired_differences_count_seeds(results):
    (paired,) = fused_against_members(results)
    assert (paired.better, paired.equal, paired.worse) == (2, 1, 0)
    # 1.00 - 0.50, 0.75 - 0.75, 0.75 - 0.50
    assert paired.difference.mean == pytest.approx(0.25)
    assert paired.difference.std == pytest.approx(0.25)


def test_a_fusion_is_compared_with_each_of_its_members(results):
    own = Method("compact", "LBP1,8", "none")
    other = Method("compact", "LBP2,8", "none")
    seeds = tuple(
        replace(one, scores={own: one.scores[LATE], other: one.scores[LATE], **one.scores})
        for one in results.seeds
    )
    found = fused_against_members(replace(results, seeds=seeds))
    assert [(one.method, one.reference) for one in found] == [(LATE, ALONE), (LATE, own)]
    assert found[1].difference.mean == 0


def test_markdown_holds_mean_and_deviation(results):
    text = markdown(results)
    assert "| intensity | 0.583 (0.144) |  |  |  |" in text
    assert "| LBP1,8 |  |  |  | 0.833 (0.144) |" in text
    assert "## compact, int8" in text
    assert "## SVM, int8" not in text
    assert "| +0.250 (0.250) |" in text
    assert "| 2 | 1 | 0 |" in text


def test_agreement_counts_decisions_that_int8_changes_for_better_or_worse(results):
    first, *others = results.seeds
    changed = {**first.scores, LATE: {FP32: scores([0, 1, 1, 1]), INT8: scores([0, 0, 1, 0], 0.6)}}
    again = Results(
        classes=results.classes, settings={}, seeds=(replace(first, scores=changed), *others)
    )
    assert again.values(LATE, FP32, "accuracy") == again.values(LATE, INT8, "accuracy")
    assert again.agreements(LATE) == [0.5, 1.0, 1.0]
    assert again.agreements(ALONE) == []
    text = markdown(again)
    table = text[text.index("## compact: int8 decides as fp32") :]
    assert "| LBP1,8 |  |  |  | 0.833 (0.289) |" in table
    assert "SVM: int8" not in text


def test_one_seed_has_no_deviation(results):
    one = Results(classes=results.classes, settings={}, seeds=results.seeds[:1])
    assert "| intensity | 0.500 |" in markdown(one)
    assert "over 1 seed;" in markdown(one)


def test_csv_has_a_line_for_each_seed_method_and_precision(results):
    lines = list(csv.DictReader(to_csv(results).splitlines()))
    assert len(lines) == 3 * 4
    late = [line for line in lines if line["column"] == "late" and line["precision"] == "int8"]
    assert [line["accuracy"] for line in late] == ["1.0", "0.75", "0.75"]


def test_terminal_tables_are_titled(results):
    titles = [table.title for table in terminal(results)]
    assert titles == [
        "compact, fp32: accuracy",
        "compact, int8: accuracy",
        "compact: int8 decides as fp32",
        "SVM, fp32: accuracy",
        "Fusion minus a member alone, fp32: accuracy",
        "Fusion minus a member alone, fp32: auroc",
    ]


def test_results_come_back_from_their_file(results, tmp_path):
    results.write(tmp_path / "results.json")
    again = Results.read(tmp_path / "results.json")
    assert again.methods == results.methods
    assert markdown(again) == markdown(results)
    np.testing.assert_allclose(again.seeds[1].scores[LATE][INT8], scores([0, 1, 1, 1], 0.7))


def test_mistakes_are_counted_over_the_seeds_that_saw_the_image(results):
    found = mistakes(results, FP32)
    assert found.methods == (ALONE, LATE, SVM)
    by_name = {name: i for i, name in enumerate(found.names)}
    assert found.wrong[:, by_name["e"]].tolist() == [1, 0, 1]
    assert found.tested[by_name["e"]] == 1
    assert found.wrong[:, by_name["d"]].tolist() == [2, 1, 2]
    assert found.tested[by_name["d"]] == 2
    assert found.share[0, by_name["a"]] == pytest.approx(1 / 3)
    assert found.target.tolist() == sorted(found.target.tolist())


def test_images_nobody_misclassified_are_left_out(results):
    one = Results(classes=results.classes, settings={}, seeds=results.seeds[:1])
    assert "a" not in mistakes(one, FP32).names


def test_wrong_tiles_name_truth_and_error(results):
    tiles = wrong_tiles(results, LATE, FP32)
    assert [(tile.name, tile.seed, tile.target, tile.predicted) for tile in tiles] == [
        ("b", 1, 0, 1),
        ("d", 2, 1, 0),
    ]
    assert all(tile.score == pytest.approx(0.8) for tile in tiles)
