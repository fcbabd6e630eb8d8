"""A network on OpenVINO's CPU plugin: whole, or cut into branches that run side by side."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino

from runtime.inference.openvino_cut import cut_at
from runtime.inference.session import LIMIT_S, Outputs, Session, stalled, unloadable
from runtime.preprocess.inputs import Inputs


class Request(Protocol):
    """What is asked of a request under way."""

    def wait_for(self, timeout: int, /) -> bool:
        """Wait for so many milliseconds at most; return whether it has finished."""

    def cancel(self) -> None:
        """Give it up."""


def finish(request: Request, *, limit_s: float = LIMIT_S) -> None:
    """Wait until the request has finished; after `limit_s` give it up, raise InferenceStalled."""
    if request.wait_for(round(limit_s * 1e3)):
        return
    request.cancel()
    raise stalled("openvino", limit_s=limit_s)


def open_openvino(
    model: bytes,
    *,
    weights: bytes | None,
    threads: int,
    cuts: tuple[str, ...] | None,
    cache: Path | None,
) -> Session:
    """Return a session of an ONNX model, or of an IR's .xml with its .bin as `weights`.

    With `cuts` the branches that end in these tensors run side by side. `cache` is a folder for
    compiled models. Raises ModelRefused.
    """
    core = openvino.Core()
    if cache is not None:
        core.set_property({"CACHE_DIR": str(cache)})
    try:
        graph = core.read_model(model) if weights is None else core.read_model(model, weights)
        if cuts is not None:
            return SideBySide(core, graph, cuts, threads=threads)
        return WholeGraph(core, graph, threads=threads)
    except RuntimeError as error:
        raise unloadable("openvino", error) from None


def _request(core: openvino.Core, graph: openvino.Model, *, threads: int) -> Any:
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        # Left alone it would compute fp32 models in bf16 where the CPU has it.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return core.compile_model(graph, "CPU", properties).create_infer_request()


class WholeGraph:
    """One graph on all threads."""

    def __init__(self, core: openvino.Core, graph: openvino.Model, *, threads: int) -> None:
        self._request = _request(core, graph, threads=threads)

    def run(self, inputs: Inputs) -> Outputs:
        """Return the graph's outputs by name; raises InferenceStalled."""
        self._request.start_async(inputs, share_inputs=True)
        finish(self._request)
        return _outputs(self._request)


class SideBySide:
    """One asynchronous one-thread request per branch, then the graph's short rest.

    At most `threads` branches are under way at once.
    """

    def __init__(
        self, core: openvino.Core, graph: openvino.Model, cuts: tuple[str, ...], *, threads: int
    ) -> None:
        cut = cut_at(graph, cuts)
        self._threads = threads
        self._branches = [_request(core, branch, threads=1) for branch in cut.branches]
        self._names = [
            [port.any_name for port in request.model_inputs] for request in self._branches
        ]
        self._rest = _request(core, cut.rest, threads=1)
        for name, request in zip(cut.names, self._branches, strict=True):
            # The rest reads each tensor where its branch leaves it.
            self._rest.set_tensor(name, request.get_output_tensor())

    def run(self, inputs: Inputs) -> Outputs:
        """Return the graph's outputs by name; raises InferenceStalled."""
        under_way: deque[Any] = deque()
        for request, names in zip(self._branches, self._names, strict=True):
            if len(under_way) == self._threads:
                finish(under_way.popleft())
            request.start_async({name: inputs[name] for name in names}, share_inputs=True)
            under_way.append(request)
        for request in under_way:
            finish(request)
        self._rest.start_async()
        finish(self._rest)
        return _outputs(self._rest)


def _outputs(request: Any) -> Outputs:
    """Return copies: the next run writes over the request's own tensors."""
    return {
        name: np.array(request.get_tensor(port).data)
        for port in request.model_outputs
        for name in port.get_names()
    }
