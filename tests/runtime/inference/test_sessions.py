from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.errors import ModelRefused
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.selection import choose
from runtime.inference.selftest import verify
from runtime.instant import Instant
from runtime.preprocess.inputs import to_input

if TYPE_CHECKING:
    Forge = Any


class SteppingClock:
    """A clock on which every look takes one more second than the one before."""

    def __init__(self) -> None:
        self.looks = 0

    def now_s(self) -> float:
        self.looks += 1
        return self.looks**2 / 2

    def instant(self) -> Instant:
        raise AssertionError("measuring stores no time")

    def wall_s(self) -> float:
        return 0.0

    def sleep(self, *, duration_s: float) -> None:
        raise AssertionError("measuring does not wait")


def test_the_shipped_bundle_passes_its_golden_tiles_on_every_back_end(shipped: Bundle) -> None:
    rows = verify(shipped)
    assert {row["backend"] for row in rows} == set(backends())
    assert {row["precision"] for row in rows} == {"int8", "fp32"}
    assert all(row["worst"] <= shipped.manifest.tolerance for row in rows)


def test_golden_tiles_show_both_classes(shipped: Bundle) -> None:
    best = {int(np.argmax(golden.scores["int8"])) for golden in shipped.manifest.golden}
    assert best == {0, 1}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_onnx_runtime_and_openvino_agree(shipped: Bundle, precision: Any) -> None:
    pytest.importorskip("openvino")
    model = shipped.files[shipped.manifest.models[precision]]
    ort = open_session(model, backend="onnxruntime", threads=1)
    openvino = open_session(model, backend="openvino", threads=1)
    for golden in shipped.manifest.golden:
        inputs = to_input(shipped.array(golden.file), shipped.manifest.spec, shipped.lut())
        scores = ort.run(inputs)
        assert scores.sum() == pytest.approx(1, abs=1e-5)
        assert np.allclose(scores, openvino.run(inputs), atol=shipped.manifest.tolerance)


def test_a_changed_golden_input_fails_the_self_test(forge: Forge) -> None:
    forge.manifest["golden"][0]["inputs"]["lbp1+lbp2+lbp3"] = "0" * 64
    with pytest.raises(ModelRefused, match=r"input 'lbp1\+lbp2\+lbp3' is not the one"):
        verify(open_bundle(forge.write(), keys=forge.keys))


def test_a_changed_golden_score_fails_the_self_test(forge: Forge) -> None:
    scores = forge.manifest["golden"][0]["scores"]
    scores["fp32"] = scores["fp32"][::-1]
    with pytest.raises(ModelRefused, match="scores differently") as caught:
        verify(open_bundle(forge.write(), keys=forge.keys))
    assert "off by" in str(caught.value)


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("model", [b"\x3a\x00", b"nonsense", b"\x08\x08"])
def test_a_model_that_does_not_load_is_one_line(backend: Any, model: bytes) -> None:
    with pytest.raises(ModelRefused, match="cannot load the model") as caught:
        open_session(model, backend=backend, threads=1)
    assert "\n" not in str(caught.value)


def test_the_choice_is_measured_once_and_kept(shipped: Bundle, tmp_path: Path) -> None:
    clock = SteppingClock()
    first, _ = choose(shipped, allowed=backends(), threads=1, cache=tmp_path, clock=clock)
    looks = clock.looks
    again, session = choose(shipped, allowed=backends(), threads=1, cache=tmp_path, clock=clock)
    # Every look at this clock lasts longer, so what is measured first looks fastest.
    assert first.backend == backends()[0]
    assert (again, clock.looks) == (first, looks)
    inputs = to_input(
        shipped.array(shipped.manifest.golden[0].file), shipped.manifest.spec, shipped.lut()
    )
    assert session.run(inputs).shape == (2,)


@pytest.mark.parametrize("damage", ["not json", "[]", '{"key": {}, "choice": {}}'])
def test_a_damaged_or_stale_note_is_measured_again(
    shipped: Bundle, tmp_path: Path, damage: str
) -> None:
    note = tmp_path / f"backend-{shipped.digest[:16]}.json"
    note.write_text(damage)
    clock = SteppingClock()
    choose(shipped, allowed=("onnxruntime",), threads=1, cache=tmp_path, clock=clock)
    assert clock.looks > 0
    assert json.loads(note.read_text())["choice"]["backend"] == "onnxruntime"


def test_other_threads_are_another_choice(shipped: Bundle, tmp_path: Path) -> None:
    clock = SteppingClock()
    for threads in (1, 2):
        before = clock.looks
        choose(shipped, allowed=("onnxruntime",), threads=threads, cache=tmp_path, clock=clock)
        assert clock.looks > before
