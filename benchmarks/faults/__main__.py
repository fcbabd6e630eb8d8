"""What a night does when something goes wrong: each fault injected into a real night, one by one.

    python -m benchmarks.faults
    python -m benchmarks.faults --only black "the disk is full"
    python -m benchmarks.faults --write docs/endings.md

Every night is `nightscope run` in a process of its own on the simulated microscope; then the fault
is mended, and `verify`, `resume` and `verify` again are called. Prints the table of what each night
did, and ends with 1 when one did what it must not: a traceback, a hang, an exit code 0 that lost
something, an end other than the one written down in `cases.py`, a result that differs from that of
an undisturbed night. `--write` puts the table into a file, between its two marks. Needs Linux and a
C compiler.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.nothing_lost.shim import begin_again_preloaded, preloaded

BEGINS, ENDS = "<!-- python -m benchmarks.faults --write -->", "<!-- end of the table -->"


def main() -> int:
    """Go through the faults; return the exit code."""
    arguments = _parser().parse_args()
    if not preloaded():
        begin_again_preloaded("benchmarks.faults", sys.argv[1:])
    from benchmarks.faults.cases import CASES
    from benchmarks.faults.trial import HEAD, Place, Trial

    chosen = [case for case in CASES if not arguments.only or case.name in arguments.only]
    work = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        place = Place.made(work)
        rows, wrong = list(HEAD), []
        print("\n".join(HEAD), flush=True)
        for case in chosen:
            trial = Trial(case, place)
            trial.run()
            rows.append(trial.row)
            wrong += [f"{case.name}: {what}" for what in trial.findings]
            print(trial.row, *(f"  WRONG: {what}" for what in trial.findings), sep="\n", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{len(chosen)} faults, {len(wrong)} findings")
    if arguments.write and not wrong:
        _write(arguments.write, rows)
    return 1 if wrong else 0


def _write(page: Path, rows: list[str]) -> None:
    before, rest = page.read_text(encoding="utf-8").split(BEGINS)
    after = rest.split(ENDS)[1]
    table = "\n".join(rows)
    page.write_text(f"{before}{BEGINS}\n{table}\n{ENDS}{after}", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="FAULT")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page with the two marks")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
