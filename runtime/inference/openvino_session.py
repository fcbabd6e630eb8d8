"""A network on OpenVINO's CPU plugin: whole, or cut into branches that run side by side."""

from __future__ import annotations

import functools
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino

from runtime.inference.openvino_cut import cut_at
from runtime.inference.session import LIMIT_S, Outputs, Session, stalled, unloadable
from runtime.preprocess.inputs import Inputs


class Request(Protocol):
    """The part of an OpenVINO request that is used here."""

    def wait_for(self, timeout: int, /) -> bool:
        """Wait for so many milliseconds at most; return whether it has finished."""

    def cancel(self) -> None:
        """Cancel the request."""


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
    try:
        graph = _core().read_model(model) if weights is None else _core().read_model(model, weights)
        if cuts is not None:
            return SideBySide(graph, cuts, threads=threads, cache=cache)
        return WholeGraph(graph, threads=threads, cache=cache)
    except RuntimeError as error:
        raise unloadable("openvino", error) from None


@functools.cache
def _core() -> openvino.Core:
    """Return the one core of this process, which is never given back.

    Its CPU plugin puts the signals of the thread that loads it on a stack of its own and, when it
    goes, puts back the one before. With a core a session, sessions that come and go in any order
    leave the main thread on a stack that is freed: the next Ctrl-C or SIGTERM ends in a crash
    instead of a paused night.
    """
    return openvino.Core()


def _request(graph: openvino.Model, *, threads: int, cache: Path | None) -> Any:
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        # Left alone it would compute fp32 models in bf16 where the CPU has it.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if cache is not None:
        properties["CACHE_DIR"] = str(cache)
    return _core().compile_model(graph, "CPU", properties).create_infer_request()


class WholeGraph:
    """One graph on all threads."""

    def __init__(self, graph: openvino.Model, *, threads: int, cache: Path | None) -> None:
        self._said = _names(graph)
        self._request = _request(graph, threads=threads, cache=cache)

    def run(self, inputs: Inputs) -> Outputs:
        """Return the graph's outputs by name; raises InferenceStalled."""
        self._request.start_async(inputs, share_inputs=True)
        finish(self._request)
        return _outputs(self._request, self._said)


class SideBySide:
    """One asynchronous one-thread request per branch, then the graph's short rest.

    At most `threads` branches are under way at once.
    """

    def __init__(
        self,
        graph: openvino.Model,
        cuts: tuple[str, ...],
        *,
        threads: int,
        cache: Path | None,
    ) -> None:
        cut = cut_at(graph, cuts)
        self._threads = threads
        self._branches = [_request(branch, threads=1, cache=cache) for branch in cut.branches]
        self._names = [
            [port.any_name for port in request.model_inputs] for request in self._branches
        ]
        self._said = _names(cut.rest)
        self._rest = _request(cut.rest, threads=1, cache=cache)
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
        return _outputs(self._rest, self._said)


def _names(graph: openvino.Model) -> list[str]:
    """Return the names of a graph's outputs; compiled, an output also has those of tensors that
    were joined with it.
    """
    return [name for port in graph.outputs for name in port.get_names()]


def _outputs(request: Any, names: list[str]) -> Outputs:
    """Return copies: the next run writes over the request's own tensors."""
    return {name: np.array(request.get_tensor(name).data) for name in names}
