"""The whole evaluation: seed after seed, with what is finished kept in the folder."""

from __future__ import annotations

from pathlib import Path

import torch

from export.datasets.reading import Data, read_data
from export.evaluate.progress import job, seed_cost
from export.evaluate.report import write_report
from export.evaluate.results import Results
from export.evaluate.seed import Names, evaluate_seed
from export.evaluate.setup import Setup


def evaluate(setup: Setup, folder: Path | None, *, out: Path, seeds: int) -> Results:
    """Return the results of `seeds` splits; the report in `out` is complete after each.

    Networks and int8 scores already in `out` are taken from there: an evaluation that was stopped
    goes on where it was, one with more seeds or architectures adds to it. All data are read and
    checked before any training starts.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(setup.threads)
    splits = [_read(setup, folder, seed) for seed in range(seeds)]
    found = []
    with job(seeds * seed_cost(setup)) as work:
        for seed, data in enumerate(splits):
            found.append(evaluate_seed(setup, data, seed=seed, out=out / f"seed{seed}", job=work))
            results = Results(
                classes=setup.config.classes,
                settings=setup.described() | {"split": _division(splits[0])},
                seeds=tuple(found),
            )
            write_report(results, out, Names(data).load)
    return results


def _read(setup: Setup, folder: Path | None, seed: int) -> Data:
    return read_data(setup.config, folder, base=setup.base, seed=seed)


def _division(data: Data) -> str:
    fixed = data.parts.train.part is not None
    how = "fixed by the data" if fixed else "drawn by specimen, anew for every seed"
    return f"{how}; seed 0: {data.parts.summary()}"
