from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.clock import SystemClock
from runtime.errors import ModelRefused
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.selection import choose, chosen, pick
from runtime.inference.selftest import golden_outputs, verify
from runtime.inference.session import Backend, Choice, Session
from runtime.instant import Instant
from runtime.offline.model_bench import bench
from runtime.tasks.registry import RECORDS

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

    def sleep(self, *, duration_s: float) -> None:
        raise AssertionError("measuring does not wait")


def test_the_shipped_bundle_passes_its_golden_tiles_on_every_back_end(shipped: Bundle) -> None:
    rows = verify(shipped)
    assert {row["backend"] for row in rows} == set(backends())
    assert {row["precision"] for row in rows} == {"int8", "fp32"}
    limit = shipped.manifest.golden.tolerance["scores"]
    assert all(row["worst"].keys() == {"scores"} for row in rows)
    assert all(row["worst"]["scores"] <= limit for row in rows)


def test_golden_tiles_show_both_classes(shipped: Bundle) -> None:
    int8 = Choice(backend="onnxruntime", precision="int8")
    examples = range(len(shipped.manifest.golden.examples))
    scores = [golden_outputs(shipped, index, int8)["scores"] for index in examples]
    assert {int(np.argmax(one)) for one in scores} == {0, 1}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_onnx_runtime_and_openvino_agree(shipped: Bundle, precision: Any) -> None:
    pytest.importorskip("openvino")
    model = shipped.files[shipped.manifest.networks.models[precision]]
    ort = open_session(model, backend="onnxruntime", threads=1)
    openvino = open_session(model, backend="openvino", threads=1)
    limit = shipped.manifest.golden.tolerance["scores"]
    for index in range(len(shipped.manifest.golden.examples)):
        inputs = shipped.inputs(index)
        scores = ort.run(inputs)["scores"]
        assert scores.sum() == pytest.approx(1, abs=1e-5)
        assert np.allclose(scores, openvino.run(inputs)["scores"], atol=limit)


def test_a_changed_golden_input_fails_the_self_test(forge: Forge) -> None:
    forge.manifest["golden"]["examples"][0]["inputs"]["intensity"] = "0" * 64
    with pytest.raises(ModelRefused, match=r"input 'intensity' is not the one"):
        verify(open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("golden/0.fp32.scores.npy", np.array([[0.0, 1.0]], np.float32)),
        ("golden/5.int8.scores.npy", np.array([[np.nan, np.nan]], np.float32)),
        ("golden/1.int8.scores.npy", np.zeros((1, 3), np.float32)),
    ],
)
def test_a_changed_golden_output_fails_the_self_test(
    forge: Forge, name: str, expected: NDArray[np.float32]
) -> None:
    forge.replace_array(name, expected)
    with pytest.raises(ModelRefused, match="'scores' comes out differently") as caught:
        verify(open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS))
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
    assert session.run(shipped.inputs(0))["scores"].shape == (1, 2)


class BusyClock(SteppingClock):
    """A clock on which the first choice takes 1 s when nothing else runs, which is thrice in seven,
    and else 10 s; all others take 2 s.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def now_s(self) -> float:
        choice, look = divmod(self.looks, 14)
        self.looks += 1
        self.seconds += 2.0 if choice else 1.0 if look in (1, 7, 13) else 10.0
        return self.seconds


def test_what_else_a_device_does_makes_no_choice_slower(shipped: Bundle) -> None:
    allowed = backends()
    best = chosen(shipped, allowed=allowed, threads=1, cache=None, clock=BusyClock())
    assert best == next(candidates(shipped, allowed=allowed, threads=1))


def test_a_task_says_how_much_slower_is_about_as_fast() -> None:
    lean, quick = (Choice(backend=one, precision="int8") for one in ("onnxruntime", "openvino"))
    timed = [(lean, 1.9), (quick, 1.0)]
    picks = {
        kind: pick(timed, about_as_fast=record.ABOUT_AS_FAST) for kind, record in RECORDS.items()
    }
    # A matcher is asked in time that passes unused, and shall take little memory.
    assert picks == {"classify": quick, "match": lean, "focus": quick}


def test_a_precision_that_answers_one_example_wrong_here_is_not_chosen(forge: Forge) -> None:
    """A processor on which int8 comes out differently in a single golden tile, not the first."""
    forge.replace_array("golden/3.int8.scores.npy", np.array([[0.5, 0.5]], np.float32))
    bundle = open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS)
    choice = chosen(bundle, allowed=("onnxruntime",), threads=1, cache=None)
    assert choice.precision == "fp32"
    rows = bench(bundle, tiles=1, threads=1, clock=SystemClock())["rows"]
    assert {row["precision"] for row in rows if "refused" in row} == {"int8"}


def test_a_cache_that_cannot_be_written_is_none(shipped: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    choice, _ = choose(
        shipped, allowed=("onnxruntime",), threads=1, cache=tmp_path / "file" / "cache"
    )
    assert choice.backend == "onnxruntime"


def the_note(cache: Path) -> Path:
    """The only choice that is remembered there."""
    [note] = cache.glob("*.json")
    return note


def test_a_session_is_closed_before_the_next_one_is_measured(
    shipped: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once are the most memory that a night ever needs for its models."""
    opened: list[weakref.ref[Session]] = []

    def opening(*asked: Any, **how: Any) -> Session:
        assert all(before() is None for before in opened)
        session = open_choice(*asked, **how)
        opened.append(weakref.ref(session))
        return session

    monkeypatch.setattr("runtime.inference.selection.open_choice", opening)
    chosen(shipped, allowed=("onnxruntime",), threads=1, cache=None, clock=SteppingClock())
    assert len(opened) == 2


@pytest.mark.slow
def test_nights_that_begin_at_once_measure_one_at_a_time_and_agree(
    shipped: Bundle, tmp_path: Path
) -> None:
    """Two would disturb each other's measurement, and could label the same scan differently."""
    lock = tmp_path / "measuring.lock"

    class Rival(SteppingClock):
        def now_s(self) -> float:
            with lock.open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return super().now_s()

    def chooses(clock: SteppingClock) -> Choice:
        return chosen(shipped, allowed=backends(), threads=1, cache=tmp_path, clock=clock)

    first = chooses(Rival())
    note = the_note(tmp_path)
    kept = note.read_text()
    note.unlink()
    late = SteppingClock()
    with ThreadPoolExecutor() as another, lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waits = another.submit(chooses, late)
        note.write_text(kept)
        file.close()
        assert (waits.result(), late.looks) == (first, 0)


@pytest.mark.slow
def test_a_damaged_or_stale_note_is_measured_again(shipped: Bundle, tmp_path: Path) -> None:
    def looks() -> int:
        clock = SteppingClock()
        chosen(shipped, allowed=("onnxruntime",), threads=1, cache=tmp_path, clock=clock)
        return clock.looks

    assert looks() > 0
    note = the_note(tmp_path)
    of_another_machine = json.dumps(json.loads(note.read_text()) | {"key": {}})
    for damage in ("not json", "[]", '{"key": {}, "choice": {}}', of_another_machine):
        note.write_text(damage)
        assert looks() > 0, damage
        assert json.loads(note.read_text())["choice"]["backend"] == "onnxruntime"
        assert looks() == 0


@pytest.mark.slow
def test_other_settings_are_another_choice_and_neither_forgets(
    shipped: Bundle, tmp_path: Path
) -> None:
    """A night resumed after one with other settings must not run on another precision."""

    def looks(allowed: tuple[Backend, ...], threads: int) -> int:
        clock = SteppingClock()
        chosen(shipped, allowed=allowed, threads=threads, cache=tmp_path, clock=clock)
        return clock.looks

    wanted: list[tuple[tuple[Backend, ...], int]] = [
        (("onnxruntime",), 1),
        (("onnxruntime",), 2),
        (("onnxruntime", "openvino"), 1),
    ]
    assert all(looks(*settings) > 0 for settings in wanted)
    assert [looks(*settings) for settings in wanted] == [0, 0, 0]


SIGNALLED = """
import signal
from pathlib import Path
from runtime.inference.openvino_session import open_openvino
from tests.runtime.inference.tiny_onnx import three_streams
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
def session():
    return open_openvino(three_streams(), weights=None, threads=1, cuts=None, cache=None)
first, second = session(), session()
del first
third = session()
del second, third
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.slow
def test_a_signal_after_sessions_that_came_and_went_is_handled():
    """In a process of its own: what this guards against takes the process down."""
    ended = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "handled\n")
