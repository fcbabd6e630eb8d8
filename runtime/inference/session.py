"""Run a bundle's network on ONNX Runtime or OpenVINO, behind one small protocol."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelRefused
from runtime.inference.manifest import Precision
from runtime.preprocess.inputs import Inputs

Backend = Literal["onnxruntime", "openvino"]
OUTPUT = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which back end runs which precision."""

    backend: Backend
    precision: Precision


class Session(Protocol):
    """A loaded network."""

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the (classes,) float32 scores of one tile; they sum to 1."""


def backends() -> tuple[Backend, ...]:
    """Return the back ends installed on this machine."""
    names: tuple[Backend, ...] = ("onnxruntime", "openvino")
    return tuple(name for name in names if find_spec(name) is not None)


def open_session(model: bytes, *, backend: Backend, threads: int) -> Session:
    """Return the network loaded on one back end, using that many threads.

    Raises ModelRefused when the back end is absent or cannot load the model.
    """
    if backend not in backends():
        raise ModelRefused(
            f"back end {backend} is not installed",
            limit=", ".join(backends()) or "none installed",
            remedy="set models.backend to 'auto'",
        )
    opener = OnnxRuntimeSession if backend == "onnxruntime" else OpenVinoSession
    return opener(model, threads=threads)


def _unloadable(backend: Backend, error: Exception) -> ModelRefused:
    reason = " ".join(str(error).split())
    return ModelRefused(
        f"{backend} cannot load the model: {reason}", remedy="choose another models.backend"
    )


class OnnxRuntimeSession:
    """A network on ONNX Runtime's CPU provider."""

    def __init__(self, model: bytes, *, threads: int) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native

        # The library's errors share no base of their own; these are what loading raises.
        refusals = (
            native.Fail,
            native.InvalidArgument,
            native.InvalidGraph,
            native.InvalidProtobuf,
            native.NotImplemented,
            native.RuntimeException,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle workers must not spin: the control loop shares these cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except refusals as error:
            raise _unloadable("onnxruntime", error) from None

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the (classes,) scores of one tile."""
        return np.asarray(self._session.run([OUTPUT], inputs)[0][0], dtype=np.float32)


class OpenVinoSession:
    """A network on OpenVINO's CPU plugin."""

    def __init__(self, model: bytes, *, threads: int) -> None:
        from openvino import Core

        core = Core()
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            # Left alone it would compute fp32 models in bf16 where the CPU has it.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = core.compile_model(core.read_model(model), "CPU", properties)
        except RuntimeError as error:
            raise _unloadable("openvino", error) from None
        self._request: Any = compiled.create_infer_request()

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the (classes,) scores of one tile."""
        self._request.infer(inputs)
        return np.array(self._request.get_tensor(OUTPUT).data[0], dtype=np.float32)
