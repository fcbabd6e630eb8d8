"""A network on ONNX Runtime's CPU provider."""

from __future__ import annotations

from threading import Timer
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from runtime.inference.session import LIMIT_S, Layout, Outputs, stalled, unloadable
from runtime.preprocess.inputs import Inputs

# The library's errors share no base of their own; these are what loading raises.
REFUSALS = (
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NotImplemented,
    native.RuntimeException,
)


class OnnxRuntimeSession:
    """One graph; its branches side by side in the "parallel" layout."""

    def __init__(
        self, model: bytes, *, threads: int, layout: Layout, limit_s: float = LIMIT_S
    ) -> None:
        self._limit_s = limit_s
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, session_options(threads, layout), providers=["CPUExecutionProvider"]
            )
        except REFUSALS as error:
            raise unloadable("onnxruntime", error) from None
        self._outputs = [port.name for port in self._session.get_outputs()]

    def run(self, inputs: Inputs) -> Outputs:
        """Return the graph's outputs by name; raises InferenceStalled."""
        options = onnxruntime.RunOptions()
        overdue = Timer(self._limit_s, setattr, (options, "terminate", True))
        overdue.daemon = True
        overdue.start()
        try:
            found = self._session.run(self._outputs, inputs, options)
        except native.Fail:
            if options.terminate:
                raise stalled("onnxruntime", limit_s=self._limit_s) from None
            raise
        finally:
            overdue.cancel()
        return dict(zip(self._outputs, found, strict=True))


def session_options(threads: int, layout: Layout) -> onnxruntime.SessionOptions:
    """Return how every model of ours is run: quietly, and as it was quantised."""
    options = onnxruntime.SessionOptions()
    if layout == "parallel":
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.intra_op_num_threads = 1 if layout == "parallel" else threads
    options.inter_op_num_threads = threads if layout == "parallel" else 1
    # Idle workers must not spin: the control loop shares these cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # A layer left in fp32 between int8 ones, because eight bits harm it, must stay so: this
    # optimiser would quantise it after all.
    options.add_session_config_entry(
        "optimization.disable_specified_optimizers", "WeightBiasQuantization"
    )
    # What it lays out after the first run comes beside what that run took, and saves no time.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return options
