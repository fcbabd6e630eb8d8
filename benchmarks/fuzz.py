"""Damaged and forged inputs for every reader: read, or refused in one short line, within bounds.

    python -m benchmarks.fuzz --inputs 100000 --reader tiff png
    python -m benchmarks.fuzz --reader plan --seed 1 --first 4711 --inputs 1

Each reader begins with files that our own writers make (`benchmarks/fuzzing/corpus.py`). Input n
of a seed is always the same: one of these, changed by bytes, by its words and numbers, or by what
its format knows of itself (a checksum set right, a header's field, a row of a database, a manifest
signed again). Children read them, with half a gigabyte of room and ten seconds of processor for
each. What is neither read nor refused with a `NightscopeError` or `BridgeError` of one printable
line of less than 500 characters is a finding: "crash", "hang", "memory" or "words". It is kept
under its reader, seed and number, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.fuzzing.corpus import READERS
from benchmarks.fuzzing.mutation import mutated
from benchmarks.fuzzing.reader import Reader
from firmware_bridge.errors import BridgeError
from runtime.errors import NightscopeError

ROOM_BYTES = 500 * 2**20
LONGEST_S, WAITS = 10, 6
LIMITS = (signal.SIGPROF, signal.SIGALRM)
LONGEST_LINE = 500
BATCH = 2000
"""Inputs of a child; then another one begins, with what the last one kept given back."""

OUTCOMES = ("read", "refused", "crash", "hang", "memory", "words")
FINDINGS = OUTCOMES[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An input that ended as it must not, and what was said of it."""

    reader: str
    seed: int
    number: int
    kind: str
    says: str


class Tally:
    """What a child has done so far, in a page that outlives it: next input, counts of outcomes."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 4096)
        self._said = mmap.mmap(-1, 2**16)
        self.number = 0
        self.counts: Counter[str] = Counter()

    def begin(self, number: int) -> None:
        """Note which input is being read."""
        self._page[:8] = number.to_bytes(8, "little")

    def end(self, outcome: str, says: str = "") -> None:
        """Note how it ended."""
        at = 8 + 8 * OUTCOMES.index(outcome)
        count = int.from_bytes(self._page[at : at + 8], "little") + 1
        self._page[at : at + 8] = count.to_bytes(8, "little")
        told = says.encode("utf-8", "backslashreplace")[: 2**16 - 8]
        self._said[:8] = len(told).to_bytes(8, "little")
        self._said[8 : 8 + len(told)] = told

    @property
    def at(self) -> int:
        """Which input was begun last."""
        return int.from_bytes(self._page[:8], "little")

    @property
    def said(self) -> str:
        """What was noted last."""
        return self._said[8 : 8 + int.from_bytes(self._said[:8], "little")].decode()

    def all(self) -> dict[str, int]:
        """Return how many inputs ended how."""
        return {
            outcome: int.from_bytes(self._page[8 + 8 * n : 16 + 8 * n], "little")
            for n, outcome in enumerate(OUTCOMES)
        }


def content_of(reader: Reader, seed: int, number: int) -> bytes:
    """Return input `number` of a seed, always the same."""
    chance = Random(f"{reader.name} {seed} {number}")
    corpus = reader.corpus()
    return mutated(chance.choice(corpus), corpus, reader.forge, chance)


def outcome_of(reader: Reader, content: bytes, folder: Path) -> tuple[str, str]:
    """Return what becomes of an input here, with nothing to bound it, and what was said."""
    path = folder / reader.file
    path.write_bytes(content)
    try:
        reader.read(path)
    except (NightscopeError, BridgeError) as refusal:
        line = str(refusal)
        # Names that are no text are shown as their bytes.
        shown = line.encode("utf-8", "backslashreplace").decode()
        clear = len(line) < LONGEST_LINE and shown.isprintable()
        return ("refused" if clear else "words"), line
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:  # noqa: BLE001 - that one escapes is what is looked for
        return "crash", traceback.format_exc()
    return "read", ""


def fuzz(
    reader: Reader, *, inputs: int, seed: int = 0, first: int = 0, keep: Path | None = None
) -> tuple[dict[str, int], list[Finding]]:
    """Return how `inputs` inputs ended, from number `first`, and which as they must not."""
    tally, findings, number = Tally(), list[Finding](), first
    reader.corpus()
    while number < first + inputs:
        until = min(number + BATCH, first + inputs)
        ended = _child(lambda start=number, end=until: _read(reader, seed, start, end, tally))
        if ended is None:
            number = until
            continue
        kind = ended if ended in FINDINGS else "crash"
        if ended != "told":
            tally.end(kind, f"the process ended: {ended}")
        else:
            kind = tally.said.partition("\n")[0]
        findings.append(
            Finding(reader=reader.name, seed=seed, number=tally.at, kind=kind, says=tally.said)
        )
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            kept = keep / f"{reader.name}-{seed}-{tally.at}"
            kept.write_bytes(content_of(reader, seed, tally.at))
        number = tally.at + 1
    return tally.all(), findings


def _read(reader: Reader, seed: int, start: int, end: int, tally: Tally) -> bool:
    """Read inputs in a child; return False at the first finding, which the tally then holds."""
    with TemporaryDirectory() as folder:
        for number in range(start, end):
            tally.begin(number)
            content = content_of(reader, seed, number)
            _limit_s(LONGEST_S)
            outcome, says = outcome_of(reader, content, Path(folder))
            _limit_s(0)
            tally.end(outcome, f"{outcome}\n{says}" if outcome in FINDINGS else "")
            if outcome in FINDINGS:
                return False
    return True


def _limit_s(seconds: float) -> None:
    """End the process after these seconds of processor, or of waiting many times as long."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * WAITS)


def _child(work: Callable[[], bool]) -> str | None:
    """Do work in a child with bounds; return None, "told" for a finding, or how it was ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            room = pages * resource.getpagesize() + ROOM_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (room, room))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for one in LIMITS:
                signal.signal(one, signal.SIG_DFL)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            code = 0 if work() else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number in LIMITS else signal.Signals(number).name
    return {0: None, 1: "told"}.get(os.WEXITSTATUS(status), "ended by itself")


def main() -> int:
    """Fuzz the readers named, say how the inputs ended; return 1 where one is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="for each reader")
    parser.add_argument("--reader", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    told = parser.parse_args()
    findings: list[Finding] = []
    print(f"| reader | inputs | {' | '.join(OUTCOMES)} | s |\n|---" + "|---" * 8 + "|")
    total = 0
    for name in told.reader:
        start_s = time.perf_counter()
        counts, found = fuzz(
            READERS[name], inputs=told.inputs, seed=told.seed, first=told.first, keep=told.keep
        )
        findings += found
        total += sum(counts.values())
        took_s = round(time.perf_counter() - start_s)
        cells = [name, sum(counts.values()), *counts.values(), took_s]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    for one in findings:
        print(f"{one.kind}: {one.reader}, seed {one.seed}, input {one.number}: {one.says[-900:]}")
    print(json.dumps({"inputs": total, "findings": len(findings)}))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
