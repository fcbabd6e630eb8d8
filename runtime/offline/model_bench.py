"""How fast a bundle runs here: every back end, precision and layout, on its golden pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.opening import Model
from runtime.inference.processor import processor
from runtime.inference.selection import chosen
from runtime.inference.selftest import all_golden_inputs, check_golden
from runtime.inference.session import Choice
from runtime.offline.streaming import AnswerStream
from runtime.ports import Clock
from runtime.tasks.registry import work_of
from runtime.tile import Picture

# What one answer is about.
Matchable = Sequence[Picture]
WARM_UPS = 3
Progress = Callable[[int, int], None]


def bench(
    bundle: Bundle,
    *,
    tiles: int,
    threads: int,
    clock: Clock,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return how long `tiles` golden tiles took, one row for each way to run the bundle.

    A row's "p50_ms" and "p99_ms" are from a tile's pixels to its answer, "tiles_per_s" counts a
    stream, in which the next tile is prepared while one is answered, and "load_ms" is what opening
    took. "preprocessing" is the part before the network alone. "chosen" marks the row that this
    device runs, remembered in `cache` or measured now. A back end that cannot load the model,
    or computes another one on this processor, has "refused" instead of figures.
    """
    pick = chosen(bundle, allowed=backends(), threads=threads, cache=cache, clock=clock)
    choices = list(candidates(bundle, allowed=backends(), threads=threads))
    golden = list(islice(cycle(_golden(bundle)), tiles))
    rows: list[dict[str, Any]] = []
    for done, choice in enumerate(choices, start=1):
        row = _row(bundle, choice, golden, threads=threads, clock=clock)
        rows.append({**asdict(choice), "chosen": choice == pick, **row})
        if progress is not None:
            progress(done, len(choices))
    return {
        "model": f"{bundle.manifest.name} {bundle.manifest.version}",
        "machine": processor(),
        "threads": threads,
        "tiles": tiles,
        "tile_px": list(golden[0][0].shape_px),
        "preprocessing": _preprocessing(bundle, pick, golden, threads=threads, clock=clock),
        "rows": rows,
    }


def _golden(bundle: Bundle) -> list[Matchable]:
    size_um = bundle.manifest.input.middle_um
    return [
        [Picture(pixels=pixels, pixel_size_um=size_um) for pixels in bundle.pictures(index)]
        for index in range(len(bundle.manifest.golden.examples))
    ]


def _row(
    bundle: Bundle, choice: Choice, golden: list[Matchable], *, threads: int, clock: Clock
) -> dict[str, Any]:
    start_s = clock.now_s()
    try:
        session = open_choice(bundle, choice, threads=threads)
        load_s = clock.now_s() - start_s
        check_golden(bundle, session, choice, all_golden_inputs(bundle))
    except ModelRefused as refusal:
        return {"refused": str(refusal)}
    work = work_of(Model(bundle=bundle, session=session, choice=choice), threads=threads)
    latency = _percentiles(lambda seen: work.answer(work.prepare(seen)), golden, clock=clock)
    start_s = clock.now_s()
    answers = sum(1 for _ in AnswerStream(work).answers(golden))
    stream_s = clock.now_s() - start_s
    return {"load_ms": load_s * 1e3, **latency, "tiles_per_s": answers / stream_s}


def _preprocessing(
    bundle: Bundle, choice: Choice, golden: list[Matchable], *, threads: int, clock: Clock
) -> dict[str, float]:
    session = open_choice(bundle, choice, threads=threads)
    work = work_of(Model(bundle=bundle, session=session, choice=choice), threads=threads)
    return _percentiles(work.prepare, golden, clock=clock)


def _percentiles(
    work: Callable[[Matchable], object], golden: list[Matchable], *, clock: Clock
) -> dict[str, float]:
    for seen in golden[:WARM_UPS]:
        work(seen)
    seconds = []
    for seen in golden:
        start_s = clock.now_s()
        work(seen)
        seconds.append(clock.now_s() - start_s)
    p50_s, p99_s = np.percentile(seconds, (50, 99))
    return {"p50_ms": float(p50_s) * 1e3, "p99_ms": float(p99_s) * 1e3}
