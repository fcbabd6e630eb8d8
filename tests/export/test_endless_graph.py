"""A graph that would compute for years, on the real back end: given up, in one line."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from runtime.errors import InferenceStalled
from runtime.inference.onnxruntime_session import OnnxRuntimeSession

pytestmark = pytest.mark.export

SIDE = 64
ROUNDS = 10**12


def repeated(rounds: int) -> bytes:
    """Return a network that multiplies its input by the identity that many times."""
    square = [SIDE, SIDE]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["before", "identity"], ["after"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, square),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, square),
        ],
        [numpy_helper.from_array(np.eye(SIDE, dtype=np.float32), "identity")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "begin", "intensity"], ["scores"], body=body)],
        "repeated",
        [helper.make_tensor_value_info("intensity", TensorProto.FLOAT, square)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, square)],
        [
            numpy_helper.from_array(np.array(rounds), "rounds"),
            numpy_helper.from_array(np.array(True), "begin"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def test_a_run_that_never_ends_is_given_up_with_the_reason() -> None:
    session = OnnxRuntimeSession(repeated(ROUNDS), threads=1, layout="together", limit_s=0.2)
    reason = r"onnxruntime .*; limit 0\.2 s\..*models\.backend set to 'openvino'"
    with pytest.raises(InferenceStalled, match=reason):
        session.run({"intensity": np.ones((SIDE, SIDE), np.float32)})


def test_a_run_that_ends_keeps_its_scores() -> None:
    session = OnnxRuntimeSession(repeated(3), threads=1, layout="together")
    ones = np.ones((SIDE, SIDE), np.float32)
    assert np.array_equal(session.run({"intensity": ones})["scores"], ones)
