"""What a training leaves on disk: models that hold all they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
from onnx import TensorProto, helper

from export.bundle import pack as packing
from export.bundle.artefacts import FP32, INT8, IR_BIN, IR_XML, Artefacts
from export.bundle.pack import pack
from runtime.errors import InputRefused, ModelRefused
from runtime.preprocess.spec import PreprocessSpec

pytestmark = pytest.mark.export


ABOUT = {
    "task": {"kind": "classify", "classes": ["a", "b"]},
    "input": {
        "pixel_size_um": [0.4, 0.6],
        "field_px": {"height_px": 64, "width_px": 64},
        "preprocessing": PreprocessSpec().to_json(),
        "lut": "lbp_mds.npy",
    },
}


def tiny_model() -> onnx.ModelProto:
    weight = onnx.numpy_helper.from_array(np.ones((1, 2), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["intensity", "w"], ["scores"])],
        "tiny",
        [helper.make_tensor_value_info("intensity", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def made(about: dict | None = None) -> Artefacts:
    model = tiny_model().SerializeToString()
    arrays = {"lbp_mds.npy": np.zeros((256, 3), np.float32)}
    return Artefacts(about=about or ABOUT, fp32=model, int8=model, arrays=arrays, golden=[])


def test_the_int8_model_lies_there_for_openvino_too(tmp_path: Path) -> None:
    made().write(tmp_path)
    assert (tmp_path / IR_XML).read_bytes() == made().ir().xml
    assert (tmp_path / IR_BIN).read_bytes() == made().ir().weights
    assert Artefacts.read(tmp_path).int8 == made().int8


@pytest.mark.parametrize("name", [FP32, INT8])
def test_a_model_with_weights_elsewhere_is_refused_by_its_file_name(
    name: str, tmp_path: Path
) -> None:
    made().write(tmp_path)
    onnx.save_model(
        tiny_model(), tmp_path / name, save_as_external_data=True, size_threshold=0, location="w"
    )
    with pytest.raises(ModelRefused, match=f"{name} keeps its weights in another file"):
        Artefacts.read(tmp_path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    made().write(tmp_path)
    (tmp_path / INT8).write_bytes(b"\xff" * 40)
    with pytest.raises(InputRefused, match="no finished training"):
        Artefacts.read(tmp_path)


def test_a_bundle_too_large_for_a_device_says_how_to_make_it_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MAX_BUNDLE_BYTES", 2**20)
    with pytest.raises(ModelRefused, match="--no-fp32"):
        pack(made(), key=tmp_path / "key", out=tmp_path / "b.nsb")
    assert not (tmp_path / "b.nsb").exists()
