"""The whole evaluation: seed after seed, with what is finished kept in the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from export.datasets.labelled import LabelledImages
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
                settings=setup.described() | {"split": _division(splits)},
                seeds=tuple(found),
            )
            write_report(results, out, Names(data).load)
    return results


def _read(setup: Setup, folder: Path | None, seed: int) -> Data:
    return read_data(setup.config, folder, base=setup.base, seed=seed)


def _division(splits: Sequence[Data]) -> str:
    first = splits[0].parts
    if first.train.part is not None:
        return f"fixed by the data: {first.summary()}"
    every = {name for part in (first.train, first.validation, first.test) for name in _own(part)}
    tested = {name for one in splits for name in _own(one.parts.test)}
    return f"by specimen, {len(tested)} of {len(every)} tested; seed 0: {first.summary()}"


def _own(images: LabelledImages) -> set[str]:
    return set(images.specimen.tolist())
