"""The closed loop of focus over a serial line that damages bytes, and sweeps at every tile.

    python benchmarks/focus_loop.py --rows 20 --columns 20 --seeds 1

The scan of `tests/runtime/focus/closed_loop.py`: board emulated on a pseudo-terminal, 0.2 % of the
bytes each dropped, doubled and flipped, a simulated camera that looks through its stage, a slide
that is tilted, bowed and drifts by 5 µm/h, a fifth of its tiles bare, a tile every 9 s, and in the
middle a restart of controller and board, an hour long. Wanted: on textured tiles a p95 focus error
of half the depth of field (3.8 µm), 1.3 exposures a tile beside its own frame, no z beyond a
limit, and every bare tile called empty, by the look at it or because its own frame shows nothing.
Peers in the same run: the same loop without LEDs, and a sweep by Brenner's gradient at every tile.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.runtime.focus.bare_slide import Slide
from tests.runtime.focus.closed_loop import Bench, Scan, bench_of, plan_of, scan

# How a scan is focused: its plan, and what is asked before a sweep.
HOW = {
    "network, else LED pair, else sweep": (plan_of(), ("network", "pair")),
    "LED pair, else sweep": (plan_of(), ("pair",)),
    "sweep": (plan_of(), ()),
    "sweep at every tile": (plan_of(policy="every-tile"), ()),
}


def told(found: Scan, bench: Bench) -> str:
    """Return what a scan says, in one line."""
    away, bare = np.abs(found.away_um), np.array(found.bare)
    looked = Counter(row.source for row in found.rows if row.looked)
    said = [row.verdict.status for row in found.rows]
    called = np.array(said) == "empty"
    low, high = bench.z_limits_um
    beyond = found.z_sent_um[0] < low or found.z_sent_um[1] > high
    return (
        f"{len(bare)} tiles, {looked.total()} looked at ({_words(looked)}), "
        f"{found.exposures / len(bare):.2f} exposures each; "
        f"focus error median {np.median(away[~bare]):.2f}, p95 "
        f"{np.percentile(away[~bare], 95):.2f}, max {away[~bare].max():.2f} µm; bare called empty "
        f"{(called | found.blank)[bare].sum()} of {bare.sum()} ({called[bare].sum()} by a look), "
        f"textured {(called | found.blank)[~bare].sum()}; z from {found.z_sent_um[0]:.0f} to "
        f"{found.z_sent_um[1]:.0f} µm, limits {low:.0f} to {high:.0f}{', BEYOND' * beyond}"
        f"{', A LAMP BURNS' * found.lit}; {found.damaged} bytes damaged"
    )


def _words(looked: Counter[str]) -> str:
    return ", ".join(f"{source} {count}" for source, count in looked.most_common())


def main() -> None:
    """Scan the slide of every seed in every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(HOW), default=list(HOW))
    asked = parser.parse_args()
    for seed in range(1, 1 + asked.seeds):
        slide = Slide.drawn(seed, rows=asked.rows, columns=asked.columns)
        with TemporaryDirectory() as folder, bench_of(slide, Path(folder)) as bench:
            for name in asked.only:
                began_s, began_cpu_s = time.perf_counter(), time.process_time()
                plan, asked_first = HOW[name]
                singles = [getattr(bench, one)() for one in asked_first]
                found = scan(bench, slide, plan=plan, singles=singles)
                took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
                print(f"seed {seed}, {name}: {told(found, bench)}; {took_s:.0f} s, {cpu_s:.0f} of "
                      f"processor", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
