"""Every way in which a bundle could run on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import Bundle
from runtime.inference.session import LAYOUTS, Backend, Choice, Layout, Session

COMPILED = "openvino"


def candidates(bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int) -> Iterator[Choice]:
    """Return every choice that could run here; side by side needs two branches and two threads."""
    networks = bundle.manifest.networks
    branches = len(networks.cuts)
    layouts: tuple[Layout, ...] = LAYOUTS if min(branches, threads) > 1 else ("together",)
    for backend in (name for name in allowed if name in backends()):
        for precision in networks.models:
            for layout in layouts:
                yield Choice(backend=backend, precision=precision, layout=layout)


def open_choice(
    bundle: Bundle, choice: Choice, *, threads: int, cache: Path | None = None
) -> Session:
    """Return a session on one back end, precision and layout of a bundle; raises ModelRefused.

    OpenVINO reads its own format where the bundle has it, and keeps what it compiled below
    `cache`.
    """
    networks = bundle.manifest.networks
    ir = networks.ir.get(choice.precision) if choice.backend == "openvino" else None
    return open_session(
        bundle.files[networks.models[choice.precision] if ir is None else ir.xml],
        weights=None if ir is None else bundle.files[ir.bin],
        backend=choice.backend,
        threads=threads,
        layout=choice.layout,
        cuts=networks.cuts,
        cache=None if cache is None else cache / COMPILED,
    )
