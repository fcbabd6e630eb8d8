from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import InputRefused
from runtime.inference.bundle import Bundle
from runtime.inference.session import Choice
from runtime.offline.model_bench import bench
from runtime.offline.streaming import AnswerStream
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tile import Picture

KEYS = SHIPPED_MODELS / "keys"
IN_FLIGHT = 3


@pytest.fixture(scope="module")
def classifier(shipped: Bundle) -> TileClassifier:
    choice = Choice(backend="onnxruntime", precision="int8")
    return TileClassifier.open(shipped.path, keys=KEYS, choice=choice)


@pytest.fixture(scope="module")
def tiles(shipped: Bundle) -> list[Picture]:
    size_um = shipped.manifest.input.middle_um
    return [
        Picture(pixels=pixels, pixel_size_um=size_um)
        for index in range(len(shipped.manifest.golden.examples))
        for pixels in shipped.pictures(index)
    ]


@pytest.mark.parametrize("in_flight", [1, IN_FLIGHT, 50])
def test_labels_come_in_order_and_equal_those_of_single_tiles(
    classifier: TileClassifier, tiles: list[Picture], in_flight: int
) -> None:
    stream = AnswerStream(classifier.work, in_flight=in_flight)
    labels = list(stream.answers([tile] for tile in tiles))
    assert labels == [classifier.classify(tile) for tile in tiles]


def test_no_more_tiles_are_drawn_than_may_be_in_flight(
    classifier: TileClassifier, tiles: list[Picture]
) -> None:
    drawn = 0

    def endless() -> Iterator[list[Picture]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield tiles[:1]

    labels = AnswerStream(classifier.work, in_flight=IN_FLIGHT).answers(endless())
    assert drawn == 0
    for taken in range(1, 4):
        next(labels)
        assert drawn - taken < IN_FLIGHT
    labels.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]


def test_a_tile_that_cannot_be_read_costs_its_own_label_only(
    classifier: TileClassifier, tiles: list[Picture]
) -> None:
    def broken() -> list[Picture]:
        raise InputRefused("broken.png: truncated")

    loads: list[Callable[[], list[Picture]]] = [lambda: tiles[:1], broken, lambda: tiles[1:2]]
    first, refusal, last = AnswerStream(classifier.work).outcomes(loads)
    assert isinstance(refusal, InputRefused)
    assert [first, last] == [classifier.classify(tile) for tile in tiles[:2]]


def test_a_refused_tile_ends_a_stream_of_labels(
    classifier: TileClassifier, tiles: list[Picture]
) -> None:
    small = replace(tiles[0], pixels=np.full((20, 20), 9, np.uint16))
    with pytest.raises(InputRefused, match="shows less"):
        list(AnswerStream(classifier.work).answers([[tiles[0]], [small]]))


@pytest.mark.slow
def test_bench_times_everything_and_marks_the_chosen_one(shipped: Bundle) -> None:
    steps: list[tuple[int, int]] = []
    figures = bench(
        shipped,
        tiles=4,
        threads=1,
        clock=SystemClock(),
        progress=lambda done, total: steps.append((done, total)),
    )
    rows = figures["rows"]
    assert {row["precision"] for row in rows} == set(shipped.manifest.networks.models)
    assert sum(row["chosen"] for row in rows) == 1
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["tiles_per_s"] > 0
        assert row["load_ms"] > 0
    assert 0 < figures["preprocessing"]["p50_ms"] < max(row["p99_ms"] for row in rows)
    assert steps[-1] == (len(rows), len(rows))


@pytest.mark.slow
def test_bench_says_which_back_end_refuses_the_model(
    shipped: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**shipped.files, shipped.manifest.networks.models["fp32"]: b"\x3a\x00"}
    bundle = Bundle(
        path=shipped.path,
        manifest=shipped.manifest,
        files=broken,
        digest=shipped.digest,
        signed_by=shipped.signed_by,
        key=shipped.key,
    )
    figures = bench(bundle, tiles=2, threads=1, clock=SystemClock())
    refused = [row for row in figures["rows"] if "refused" in row]
    assert {row["precision"] for row in refused} == {"fp32"}
    assert all("cannot load the model" in row["refused"] for row in refused)
