from __future__ import annotations

import csv
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.bundle import Bundle
from runtime.inference.selftest import golden_outputs
from runtime.offline.classify import classify_folder
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tile import Picture, Pixels

Classify = Callable[..., dict[str, Any]]
KEYS = SHIPPED_MODELS / "keys"
EXAMPLES = 6


@pytest.fixture(scope="module")
def classifier(shipped: Bundle) -> TileClassifier:
    return TileClassifier.open(shipped.path, keys=KEYS, backend="onnxruntime")


def tile(pixels: Pixels, pixel_size_um: float = 0.5) -> Picture:
    return Picture(pixels=pixels.copy(), pixel_size_um=pixel_size_um)


def golden(shipped: Bundle, index: int) -> Pixels:
    (pixels,) = shipped.pictures(index)
    return pixels


def test_golden_tiles_get_their_golden_labels(classifier: TileClassifier, shipped: Bundle) -> None:
    limit = shipped.manifest.golden.tolerance["scores"]
    for index in range(EXAMPLES):
        label = classifier.classify(tile(golden(shipped, index)))
        (scores,) = golden_outputs(shipped, index, classifier.choice)["scores"]
        assert label.name == ("resin", "tissue")[int(np.argmax(scores))]
        assert list(label.scores.values()) == pytest.approx(scores, abs=limit)
        assert label.score == max(label.scores.values())
        assert label.model == f"{classifier.name} {classifier.version}"


@pytest.mark.parametrize("divisor", [2, 16])
def test_a_label_does_not_depend_on_bit_depth(
    classifier: TileClassifier, shipped: Bundle, divisor: int
) -> None:
    for index in range(EXAMPLES):
        pixels = golden(shipped, index)
        dtype = np.uint8 if divisor == 16 else np.uint16
        fewer = (pixels // divisor).astype(dtype)
        assert classifier.classify(tile(fewer)).name == classifier.classify(tile(pixels)).name


def test_empty_slide_is_resin_at_any_brightness(classifier: TileClassifier) -> None:
    rng = np.random.default_rng(3)
    for level in (400, 2800, 3900):
        noise = rng.normal(level, level**0.5, (448, 512))
        assert classifier.classify(tile(np.rint(noise).astype(np.uint16))).name == "resin"


@pytest.mark.parametrize("pixel_size_um", [0.25, 0.449, 0.551, 5.0])
def test_a_pixel_size_outside_the_range_is_refused(
    classifier: TileClassifier, pixel_size_um: float
) -> None:
    with pytest.raises(ModelRefused, match="not trained for this pixel size") as caught:
        classifier.check_pixel_size(pixel_size_um=pixel_size_um)
    message = str(caught.value)
    assert f"{pixel_size_um:g} µm" in message
    assert "0.45 to 0.55 µm" in message
    assert "another objective" in message


def test_classify_refuses_the_pixel_size_too(classifier: TileClassifier, shipped: Bundle) -> None:
    with pytest.raises(ModelRefused, match="pixel size"):
        classifier.classify(tile(golden(shipped, 0), pixel_size_um=0.25))


def test_less_than_the_trained_field_is_refused(classifier: TileClassifier) -> None:
    with pytest.raises(InputRefused, match="shows less than model") as caught:
        classifier.classify(tile(np.full((200, 512), 9, np.uint16)))
    assert "256 x 100 µm" in str(caught.value)


def test_a_larger_tile_is_the_mean_of_its_fields(
    classifier: TileClassifier, shipped: Bundle
) -> None:
    left, right = golden(shipped, 0), golden(shipped, EXAMPLES - 1)
    wide = classifier.classify(tile(np.hstack([left, right])))
    parts = [classifier.classify(tile(pixels)).scores["tissue"] for pixels in (left, right)]
    assert wide.scores["tissue"] == pytest.approx(np.mean(parts), abs=1e-6)


def test_a_tampered_path_never_becomes_a_classifier(tmp_path: Path, shipped: Bundle) -> None:
    broken = tmp_path / "broken.nsb"
    content = bytearray(shipped.path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    broken.write_bytes(content)
    with pytest.raises(ModelRefused):
        TileClassifier.open(broken, keys=KEYS)


@pytest.fixture
def classify(shipped: Bundle, choices: Path) -> Classify:
    """Return `classify_folder` with the shipped model; its back end is measured once."""
    return partial(classify_folder, model=shipped.path, keys=KEYS, cache=choices)


def fill(folder: Path, shipped: Bundle) -> None:
    for index in range(EXAMPLES):
        cv2.imwrite(str(folder / f"tile{index}.png"), golden(shipped, index))


def test_a_folder_becomes_a_table(tmp_path: Path, shipped: Bundle, classify: Classify) -> None:
    fill(tmp_path, shipped)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "bad.png").write_bytes((tmp_path / "tile0.png").read_bytes()[:1000])
    steps: list[tuple[int, int]] = []
    out = tmp_path / "labels.csv"
    summary = classify(tmp_path, out=out, progress=lambda done, total: steps.append((done, total)))
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0])[:3] == ["file", "label", "score"]
    assert [row["file"] for row in rows] == ["bad.png", *(f"tile{i}.png" for i in range(6))]
    assert "truncated" in rows[0]["error"]
    assert rows[1]["label"] == "resin"
    assert rows[-1]["label"] == "tissue"
    assert float(rows[1]["score"]) == pytest.approx(float(rows[1]["score_resin"]))
    assert summary["failed"].keys() == {"bad.png"}
    assert summary["exit_code"] == 5
    assert sum(summary["labels"].values()) == 6
    assert summary["pixel_size_assumed"]
    assert steps[-1] == (7, 7)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_images_is_refused(
    tmp_path: Path, classify: Classify, exists: bool
) -> None:
    folder = tmp_path if exists else tmp_path / "none"
    with pytest.raises(InputRefused, match=r"holds no images|is not a folder"):
        classify(folder, out=tmp_path / "l.csv")


def test_a_run_is_no_folder_of_images(tmp_path: Path, classify: Classify) -> None:
    (tmp_path / "journal.sqlite").touch()
    cv2.imwrite(str(tmp_path / "map.png"), np.zeros((512, 512), np.uint8))
    with pytest.raises(InputRefused, match=r"is a run, not its frames\. name .*tiles"):
        classify(tmp_path, out=tmp_path / "l.csv")


def test_a_wrong_pixel_size_labels_nothing(
    tmp_path: Path, shipped: Bundle, classify: Classify
) -> None:
    fill(tmp_path, shipped)
    out = tmp_path / "labels.csv"
    with pytest.raises(ModelRefused, match="pixel size"):
        classify(tmp_path, out=out, pixel_size_um=0.25)
    assert not out.exists()


def test_the_pixel_size_that_a_file_states_is_used_and_checked(
    tmp_path: Path, shipped: Bundle, classify: Classify
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size_um in {"fits": 0.5, "other": 0.25, "none": None}.items():
        told = {} if size_um is None else {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
        tifffile.imwrite(
            folder / f"{name}.ome.tif", golden(shipped, 0), ome=True, metadata={"axes": "YX"} | told
        )
    summary = classify(folder, out=tmp_path / "l.csv")
    assert summary["failed"].keys() == {"other.ome.tif"}
    assert "was not trained for this pixel size" in summary["failed"]["other.ome.tif"]
    assert (summary["exit_code"], summary["pixel_size_assumed"]) == (5, True)
    assert "pixel size as the files state: 0.5 µm (1), 0.25 µm (1)" in summary["words"]
    given = classify(folder, out=tmp_path / "l.csv", pixel_size_um=0.5)
    assert (given["failed"], given["pixel_size_assumed"]) == ({}, False)
    assert "a pixel is 0.5 µm as given, not 0.25 µm (1) as files state" in given["words"]


def test_every_file_of_a_folder_is_accounted_for(
    tmp_path: Path, shipped: Bundle, classify: Classify
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.PNG"), golden(shipped, 0))
    (folder / "._a.PNG").write_bytes(b"\x00\x05\x16\x07" + bytes(90))
    (folder / "b.jp2").write_bytes(b"\x00\x00\x00\x0cjP  ")
    (folder / "c.dm4").write_bytes(b"\x00\x00\x00\x04" + bytes(90))
    (folder / os.fsdecode(b"\xe4.png")).write_bytes(b"")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.tif")
    (folder / "gone.png").symlink_to(folder / "unmounted.png")
    summary = classify(folder, out=folder / "labels.csv")
    assert summary["left_out"].keys() == {"._a.PNG", "b.jp2"}
    assert summary["failed"].keys() == {"c.dm4", "gone.png", "pipe.png", "pipe.tif", "\udce4.png"}
    assert "\n\\xe4.png," in (folder / "labels.csv").read_text(encoding="utf-8")
    assert summary["words"][0].startswith("1 image labelled: ")
    assert any(words.startswith("2 files left out: ._a.PNG, ") for words in summary["words"])


def test_a_table_takes_any_name_and_no_program_runs_or_splits_it(
    tmp_path: Path, classify: Classify
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    shown = {
        b"=cmd|'calc'!A0.png": "'=cmd|'calc'!A0.png",
        b"'=x.png": "''=x.png",
        b"@sum.png": "'@sum.png",
        b'a,"b".png': 'a,"b".png',
        b"line\r\nbreak\t.png": "line\\r\\nbreak\\t.png",
        b"\xff\xfe.png": "\\xff\\xfe.png",
        b"\\xff.png": "\\\\xff.png",
        "\u202egnp.png".encode(): "\\u202egnp.png",
    }
    for name in shown:
        (folder / os.fsdecode(name)).write_bytes(b"")
    summary = classify(folder, out=tmp_path / "l.csv")
    table = (tmp_path / "l.csv").read_text(encoding="utf-8")
    assert {row["file"] for row in csv.DictReader(table.splitlines())} == set(shown.values())
    assert all(one.isprintable() or one == "\n" for one in table)
    assert (summary["exit_code"], sum(summary["labels"].values())) == (5, 0)


@pytest.mark.parametrize("out", [".", "sub"])
def test_a_folder_is_no_table_and_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classify: Classify, out: str
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputRefused, match=r"the table is a file; .* give --out .*labels\.csv"):
        classify(tmp_path / "absent", out=Path(out))


def test_a_table_never_replaces_an_image(
    tmp_path: Path, shipped: Bundle, classify: Classify
) -> None:
    fill(tmp_path, shipped)
    before = (tmp_path / "tile0.png").read_bytes()
    with pytest.raises(InputRefused, match="is an image by its name"):
        classify(tmp_path, out=tmp_path / "tile0.png")
    assert (tmp_path / "tile0.png").read_bytes() == before
