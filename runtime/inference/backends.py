"""Open a bundle's network on ONNX Runtime or OpenVINO, whichever is asked for and installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from runtime.errors import ModelRefused
from runtime.inference.session import BACKENDS, Backend, Layout, Session


def backends() -> tuple[Backend, ...]:
    """Return the back ends installed on this machine."""
    return tuple(name for name in BACKENDS if find_spec(name) is not None)


def open_session(
    model: bytes,
    *,
    backend: Backend,
    threads: int,
    layout: Layout = "together",
    cuts: tuple[str, ...] = (),
    weights: bytes | None = None,
    cache: Path | None = None,
) -> Session:
    """Return the network loaded on one back end, using that many threads.

    `model` is ONNX, or with `weights` (its .bin) the .xml of an OpenVINO IR, which only OpenVINO
    reads. "parallel" runs the branches side by side that end in the tensors `cuts`. In `cache`, a
    folder, OpenVINO keeps what it compiled. Raises ModelRefused when the back end is absent or
    cannot load the model.
    """
    if backend not in backends():
        raise ModelRefused(
            f"back end {backend} is not installed",
            limit=", ".join(backends()) or "none installed",
            remedy="set models.backend to 'auto'",
        )
    if backend == "onnxruntime":
        from runtime.inference.onnxruntime_session import OnnxRuntimeSession

        return OnnxRuntimeSession(model, threads=threads, layout=layout)
    from runtime.inference.openvino_session import open_openvino

    return open_openvino(
        model,
        weights=weights,
        threads=threads,
        cuts=cuts if layout == "parallel" else None,
        cache=cache,
    )
