"""The process that tries a model out: `python -m runtime.appliance.models.examiner BUNDLE`.

It reads `[models]` as JSON from standard input and prints one line of JSON, either "examined" or
"refused". Where the system ends it, because it asked for too much, it prints nothing.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from runtime.appliance.models.examination import Examined
from runtime.clock import SystemClock
from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused, NightscopeError
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.opening import Model
from runtime.inference.selection import pick, pin
from runtime.inference.selftest import all_golden_inputs, check_golden
from runtime.inference.session import BACKENDS, Backend, Choice
from runtime.inference.shelf import shelf_of
from runtime.ports import Clock
from runtime.preprocess.inputs import Inputs
from runtime.tasks.registry import RECORDS, work_of
from runtime.tile import Picture

WARM_UPS, ANSWERS = 5, 60
ROUNDS = 3
"""Of timing, while the budget is missed: other work on the device only adds."""
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedChoice:
    """One way to run a model that gives every golden output, with its times, milliseconds."""

    choice: Choice
    p50_ms: float
    p99_ms: float


def main() -> int:
    """Try out the bundle that the command line names; return the exit status."""
    models = ModelsSection.model_validate_json(sys.stdin.read())
    most = models.selftest_mb * MEGABYTE
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        said = {"examined": asdict(examined(Path(sys.argv[1]), models, SystemClock()))}
    except NightscopeError as error:
        parts = ("what", "value", "limit", "remedy")
        said = {"refused": {part: _plain(getattr(error, part)) for part in parts}}
    except MemoryError:
        said = {"refused": _plain_too_large(models)}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0


def examined(path: Path, models: ModelsSection, clock: Clock) -> Examined:
    """Return what trying out a bundle here shows, and remember how it runs best.

    Raises ModelRefused for a bundle that is not whole or not trusted, and when no back end here
    gives all its golden outputs within its budget.
    """
    bundle = open_bundle(path, keys=shelf_of(models).keyring, tasks=RECORDS)
    allowed: tuple[Backend, ...] = BACKENDS if models.backend == "auto" else (models.backend,)
    passed = right(bundle, allowed=allowed, threads=models.threads, clock=clock)
    best = fast_enough(bundle, passed)
    pin(bundle, best.choice, allowed=allowed, threads=models.threads, cache=models.cache)
    about = bundle.manifest
    return Examined(
        name=about.name,
        version=about.version,
        digest=bundle.digest,
        signed_by=bundle.signed_by,
        key=bundle.key,
        task=about.task.kind,
        runs_as=str(best.choice),
        p99_ms=best.p99_ms,
    )


def right(
    bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int, clock: Clock
) -> list[TimedChoice]:
    """Return every way to run a bundle that gives all its golden outputs here, timed.

    Raises ModelRefused, as the first that failed does, when there is none.
    """
    inputs = all_golden_inputs(bundle)
    found, failed = [], []
    for choice in candidates(bundle, allowed=allowed, threads=threads):
        try:
            found.append(_timed(bundle, choice, inputs, threads=threads, clock=clock))
        except ModelRefused as refusal:
            failed.append(refusal)
    if not found:
        raise (
            failed[0]
            if failed
            else ModelRefused(
                "no back end here can run the model",
                value=", ".join(allowed),
                limit=f"installed: {', '.join(backends()) or 'none'}",
                remedy="install onnxruntime, or set models.backend to 'auto'",
            )
        )
    return found


def fast_enough(bundle: Bundle, timed: list[TimedChoice]) -> TimedChoice:
    """Return the one to run of those within the bundle's budget; raises ModelRefused for none."""
    kind = bundle.manifest.task.kind
    budget_ms = bundle.manifest.budgets_ms.get(kind, np.inf)
    within = [one for one in timed if one.p99_ms <= budget_ms]
    if not within:
        best = min(timed, key=lambda one: one.p99_ms)
        raise ModelRefused(
            "the model is too slow on this device",
            value=f"p99 {best.p99_ms:.1f} ms with {best.choice}",
            limit=f"{budget_ms:g} ms, its own budget for '{kind}'",
            remedy="pack a smaller model, or give it more of models.threads",
        )
    chosen = pick(
        [(one.choice, one.p50_ms) for one in within],
        about_as_fast=bundle.manifest.task.ABOUT_AS_FAST,
    )
    return next(one for one in within if one.choice == chosen)


def _timed(
    bundle: Bundle, choice: Choice, inputs: list[Inputs], *, threads: int, clock: Clock
) -> TimedChoice:
    session = open_choice(bundle, choice, threads=threads)
    check_golden(bundle, session, choice, inputs)
    work = work_of(Model(bundle=bundle, session=session, choice=choice), threads=threads)
    size_um = bundle.manifest.input.middle_um
    shown = [
        [Picture(pixels=pixels, pixel_size_um=size_um) for pixels in bundle.pictures(index)]
        for index in range(len(inputs))
    ]
    budget_ms = bundle.manifest.budgets_ms.get(bundle.manifest.task.kind, np.inf)
    best = (np.inf, np.inf)
    for _ in range(ROUNDS):
        seconds = []
        for number in range(-WARM_UPS, ANSWERS):
            start_s = clock.now_s()
            work.answer(work.prepare(shown[number % len(shown)]))
            seconds.append(clock.now_s() - start_s)
        p50_s, p99_s = np.percentile(seconds[WARM_UPS:], (50, 99))
        best = min(best, (float(p99_s) * 1e3, float(p50_s) * 1e3))
        if best[0] <= budget_ms:
            break
    return TimedChoice(choice=choice, p99_ms=best[0], p50_ms=best[1])


def _plain(part: object) -> object:
    return part if part is None or isinstance(part, str) else str(part)


def _plain_too_large(models: ModelsSection) -> dict[str, str]:
    return {
        "what": "the model needs more memory than it may have on this device",
        "value": f"more than {models.selftest_mb} MB",
        "limit": "models.selftest_mb",
        "remedy": "pack a smaller model; or raise models.selftest_mb",
    }


if __name__ == "__main__":
    raise SystemExit(main())
