"""A network on OpenVINO's CPU plugin: whole, or cut into streams that run side by side."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino
from numpy.typing import NDArray

from runtime.inference.openvino_cut import cut_at_votes
from runtime.inference.session import LIMIT_S, OUTPUT, Layout, Session, stalled, unloadable
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
    model: bytes, *, weights: bytes | None, threads: int, layout: Layout, cache: Path | None
) -> Session:
    """Return a session of an ONNX model, or of an IR's .xml with its .bin as `weights`.

    `cache` is a folder for compiled models. Raises ModelRefused.
    """
    core = openvino.Core()
    if cache is not None:
        core.set_property({"CACHE_DIR": str(cache)})
    try:
        graph = core.read_model(model) if weights is None else core.read_model(model, weights)
        if layout == "parallel":
            return ParallelStreams(core, graph, threads=threads)
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

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the (classes,) scores of one tile; raises InferenceStalled."""
        self._request.start_async(inputs, share_inputs=True)
        finish(self._request)
        return _scores(self._request)


class ParallelStreams:
    """One asynchronous one-thread request per stream, then the graph's short rest.

    At most `threads` streams are under way at once.
    """

    def __init__(self, core: openvino.Core, graph: openvino.Model, *, threads: int) -> None:
        cut = cut_at_votes(graph)
        self._threads = threads
        self._streams = [(_request(core, stream, threads=1)) for stream in cut.streams]
        self._names = [
            [port.any_name for port in request.model_inputs] for request in self._streams
        ]
        self._rest = _request(core, cut.rest, threads=1)
        for vote, request in zip(cut.votes, self._streams, strict=True):
            # The rest reads each vote where its stream leaves it.
            self._rest.set_tensor(vote, request.get_output_tensor())

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the (classes,) scores of one tile; raises InferenceStalled."""
        under_way: deque[Any] = deque()
        for request, names in zip(self._streams, self._names, strict=True):
            if len(under_way) == self._threads:
                finish(under_way.popleft())
            request.start_async({name: inputs[name] for name in names}, share_inputs=True)
            under_way.append(request)
        for request in under_way:
            finish(request)
        self._rest.start_async()
        finish(self._rest)
        return _scores(self._rest)


def _scores(request: Any) -> NDArray[np.float32]:
    return np.array(request.get_tensor(OUTPUT).data[0], dtype=np.float32)
