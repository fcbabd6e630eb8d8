"""Whether a night loses anything: kills, power cuts and failing calls, by the thousand.

    python -m benchmarks.nothing_lost kills --cases 1000
    python -m benchmarks.nothing_lost cuts --states 10000
    python -m benchmarks.nothing_lost fails --cases 300
    python -m benchmarks.nothing_lost kills --night visits --cases 100
    python -m benchmarks.nothing_lost installs --models 6

Each prints a line of JSON and ends with 1 when something was found. Needs Linux and a C compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.nothing_lost.shim import begin_again_preloaded, preloaded

SHARED_MEMORY = Path("/dev/shm")


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    arguments = _parser().parse_args()
    if not preloaded():
        begin_again_preloaded("benchmarks.nothing_lost", sys.argv[1:])
    from benchmarks.nothing_lost import cuts, fails, installs, kills, night

    night.chosen = arguments.night
    base = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    work = Path(tempfile.mkdtemp(prefix="nothing-lost-", dir=base))
    try:
        start_s = time.monotonic()
        if arguments.what != "installs":
            night.spend(work / "warm" / "run")  # kernels are compiled once, for all children
            start_s = time.monotonic()
        if arguments.what == "installs":
            tally = installs.every(work, models=arguments.models, seed=arguments.seed)
        elif arguments.what == "cuts":
            tally = cuts.cut(
                work, states=arguments.states, resumed=arguments.resumed, seed=arguments.seed
            )
        else:
            run = kills.kill if arguments.what == "kills" else fails.fail
            tally = run(work, cases=arguments.cases, seed=arguments.seed, most_s=arguments.most_s)
        told = asdict(tally) | {"seconds": round(time.monotonic() - start_s, 1)}
        print(json.dumps({"what": arguments.what, "seed": arguments.seed} | told))
        return 1 if tally.findings else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("kills", "cuts", "fails", "installs"))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--states", type=int, default=10000)
    parser.add_argument("--resumed", type=int, default=200, help="states that a run goes on from")
    parser.add_argument("--models", type=int, default=6, help="ways a cut leaves the disk, a call")
    parser.add_argument("--night", choices=("small", "visits"), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-s", type=float, default=1e9, help="begin no case after so long")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
