from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.errors import ModelRefused
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.selection import chosen
from runtime.inference.selftest import input_digests
from runtime.inference.session import LAYOUTS, Choice
from runtime.instant import Instant
from runtime.tasks.registry import RECORDS
from tests.runtime.inference import tiny_onnx as tiny

if TYPE_CHECKING:
    Forge = Any


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_layout_computes_the_same(backend: Any, layout: Any, threads: int) -> None:
    session = open_session(
        tiny.three_streams(), backend=backend, threads=threads, layout=layout, cuts=tiny.CUTS
    )
    inputs = tiny.made_inputs()
    for _ in range(3):  # A second tile must not see anything of the first.
        assert tiny.close(session.run(inputs), tiny.expected(inputs))
        inputs = {name: -array for name, array in inputs.items()}


def test_scores_are_kept_when_the_next_tile_runs() -> None:
    for backend in backends():
        session = open_session(
            tiny.three_streams(), backend=backend, threads=2, layout="parallel", cuts=tiny.CUTS
        )
        inputs = tiny.made_inputs()
        first = session.run(inputs)["scores"]
        before = first.copy()
        session.run({name: -array for name, array in inputs.items()})
        assert np.array_equal(first, before)


def test_openvino_ir_runs_in_both_layouts(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "tiny.xml"
    graph = openvino.Core().read_model(tiny.three_streams())
    openvino.save_model(graph, path, compress_to_fp16=False)
    inputs = tiny.made_inputs()
    for layout in LAYOUTS:
        session = open_session(
            path.read_bytes(),
            weights=path.with_suffix(".bin").read_bytes(),
            backend="openvino",
            threads=2,
            layout=layout,
            cuts=tiny.CUTS,
        )
        assert tiny.close(session.run(inputs), tiny.expected(inputs))


@pytest.mark.parametrize(
    ("cuts", "named"), [((), "nothing"), (("vote:lbp1", "vote:nowhere"), "vote:nowhere")]
)
def test_openvino_cannot_cut_where_there_is_no_such_tensor(
    cuts: tuple[str, ...], named: str
) -> None:
    pytest.importorskip("openvino")
    model = tiny.three_streams()
    with pytest.raises(ModelRefused, match=f"cannot load the model: .*no branches.* {named}"):
        open_session(model, backend="openvino", threads=2, layout="parallel", cuts=cuts)


@pytest.mark.parametrize("damage", [b"", b"not a compiled model"])
def test_a_damaged_compiled_model_is_compiled_again(tmp_path: Path, damage: bytes) -> None:
    pytest.importorskip("openvino")
    inputs = tiny.made_inputs()

    def outputs() -> Any:
        model = tiny.three_streams()
        session = open_session(model, backend="openvino", threads=1, cache=tmp_path)
        return session.run(inputs)

    assert tiny.close(outputs(), tiny.expected(inputs))
    compiled = list(tmp_path.glob("*.blob"))
    assert compiled
    for blob in compiled:
        blob.write_bytes(damage)
    assert tiny.close(outputs(), tiny.expected(inputs))


def fused(forge: Forge) -> Bundle:
    """The shipped bundle with the tiny model in place of its own."""
    model = tiny.three_streams()
    for name in forge.manifest["networks"]["models"].values():
        forge.files[name] = model
        digest = hashlib.sha256(model).hexdigest()
        forge.manifest["files"][name] = {"size": len(model), "sha256": digest}
    forge.manifest["networks"] |= {"ir": {}, "cuts": list(tiny.CUTS)}
    forge.files = {
        name: data for name, data in forge.files.items() if not name.endswith((".xml", ".bin"))
    }
    forge.manifest["files"] = {name: forge.manifest["files"][name] for name in forge.files}
    forge.manifest["input"]["preprocessing"] |= {
        "height_px": 4,
        "width_px": 4,
        "inputs": ["intensity", "lbp1"],
    }
    add_golden(forge, open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS))
    return open_bundle(forge.write(), keys=forge.keys, tasks=RECORDS)


def add_golden(forge: Forge, bundle: Bundle) -> None:
    """Have the golden examples say what the tiny model makes of them."""
    for index, example in enumerate(forge.manifest["golden"]["examples"]):
        inputs = bundle.inputs(index)
        example["inputs"] = input_digests(inputs)
        for files in example["outputs"].values():
            forge.replace_array(files["scores"], tiny.expected(inputs)["scores"])


def test_streams_run_side_by_side_only_where_threads_allow(forge: Forge) -> None:
    bundle = fused(forge)
    for threads, layouts in ((1, {"together"}), (2, set(LAYOUTS))):
        found = list(candidates(bundle, allowed=backends(), threads=threads))
        assert {choice.layout for choice in found} == layouts
        assert len(found) == len(backends()) * 2 * len(layouts)


class FavouringClock:
    """A clock on which the n-th choice that is measured is the fastest."""

    def __init__(self, favoured: int) -> None:
        self.favoured, self.looks, self.seconds = favoured, 0, 0.0

    def now_s(self) -> float:
        measured, self.looks = self.looks // 14, self.looks + 1
        self.seconds += 0.001 if measured == self.favoured else 1.0
        return self.seconds

    def instant(self) -> Instant:
        raise AssertionError("measuring stores no time")

    def sleep(self, *, duration_s: float) -> None:
        raise AssertionError("measuring does not wait")


def test_the_layout_measured_fastest_is_chosen_and_remembered(forge: Forge, tmp_path: Path) -> None:
    bundle = fused(forge)
    options = list(candidates(bundle, allowed=backends(), threads=2))
    wanted = next(index for index, choice in enumerate(options) if choice.layout == "parallel")

    def choice(favoured: int) -> Choice:
        clock = FavouringClock(favoured)
        return chosen(bundle, allowed=backends(), threads=2, cache=tmp_path / "c", clock=clock)

    assert choice(wanted) == options[wanted]
    assert choice(0) == options[wanted]
    outputs = open_choice(bundle, options[wanted], threads=2).run(tiny.made_inputs())
    assert outputs["scores"].shape == (1, 2)


def test_a_choice_from_before_there_were_layouts_runs_together() -> None:
    assert Choice(**{"backend": "openvino", "precision": "int8"}).layout == "together"  # type: ignore[arg-type]
