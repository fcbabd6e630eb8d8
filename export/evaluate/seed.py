"""One seed of an evaluation: a split, its networks, the scores of every method on its test part."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.datasets.labelled import LabelledImages
from export.datasets.reading import Data, PreparedSplit, prepare_parts
from export.evaluate.baselines.svm import baseline_scores, image_shares
from export.evaluate.integer import integer_scores
from export.evaluate.methods import Cell, Method, Stream, distinct_streams
from export.evaluate.progress import BASELINES, Job, cell_cost, network_cost
from export.evaluate.results import FP32, INT8, Scores, SeedResult
from export.evaluate.setup import Setup
from export.evaluate.votes import (
    NetworkOutputs,
    fit_cell,
    fused_scores,
    joined_votes,
    stored_outputs,
    unseen_outputs,
)
from export.networks.base import TileNetwork
from export.networks.fusion import FusedClassifier
from export.tasks.classify.streams import StreamJob, chosen, train_stream
from export.texture.lbp_table import stored_table
from export.training.engine import require_trainable
from runtime.errors import InputRefused, ModelRefused
from runtime.tile import Pixels

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Names:
    """What tables and pictures call an image: its path without the folders all images share."""

    data: Data

    def of(self, images: LabelledImages) -> tuple[str, ...]:
        """Return the short names of one part, in its order."""
        return tuple(name.removeprefix(self._shared) for name in images.names.tolist())

    def load(self, name: str) -> Pixels:
        """Return the pixels of the image with that short name, whichever part it is in."""
        for images in self._parts:
            found = (images.names == self._shared + name).nonzero()[0]
            if len(found):
                return images.load(int(found[0]))
        raise InputRefused("no such image", value=name, remedy="evaluate into a fresh folder")

    @property
    def _parts(self) -> tuple[LabelledImages, ...]:
        return self.data.parts.train, self.data.parts.validation, self.data.parts.test

    @property
    def _shared(self) -> str:
        every = [name for images in self._parts for name in images.names.tolist()]
        # Cut back to a folder below; names of patches are no paths.
        prefix = os.path.commonprefix(every)  # noqa: RUF071
        return str(prefix[: prefix.rfind("/") + 1])


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The networks of one seed, and their outputs for the views of each part: for those of
    validation, and of training as "folds", what is said of specimens unseen. `prior` as in
    `FusionConfig`.
    """

    networks: Mapping[Stream, TileNetwork]
    outputs: Mapping[str, Mapping[Stream, NetworkOutputs]]
    parts: PreparedSplit
    prior: NDArray[np.float64] | None = None

    def classifier(self, cell: Cell) -> FusedClassifier:
        """Return the cell's networks with their last layer fitted."""
        return fit_cell(
            cell,
            self.networks,
            self.outputs,
            self.parts,
            prior=self.prior,
        )


def evaluate_seed(setup: Setup, data: Data, *, seed: int, out: Path, job: Job) -> SeedResult:
    """Return the scores of every method on this split, whose networks are kept in `out`."""
    scores: dict[Method, dict[str, Scores]] = {}
    trained = _train(setup, data, seed=seed, out=out, job=job)
    for cell in setup.cells:
        scores[cell.method] = _cell_scores(setup, trained, cell, seed=seed, out=out, job=job)
    with job.step(f"seed {seed}: baselines", BASELINES) as progress:
        shares = image_shares(data.parts, threads=setup.threads, progress=progress)
        for method, found in baseline_scores(data.parts, shares, seed=seed).items():
            scores[method] = {FP32: found}
    return SeedResult(
        seed=seed,
        names=Names(data).of(data.parts.test),
        specimen=tuple(data.parts.test.specimen.tolist()),
        target=data.parts.test.target,
        scores=scores,
        split=_counts(data),
    )


def _train(setup: Setup, data: Data, *, seed: int, out: Path, job: Job) -> Trained:
    """Return every network of the table, each trained once or read from `out`."""
    networks: dict[Stream, TileNetwork] = {}
    outputs: dict[str, dict[Stream, NetworkOutputs]] = {part: {} for part in (*PARTS, "folds")}
    parts = prepare_parts(
        data,
        setup.spec,
        stored_table().coordinates,
        turned_texture=setup.config.turned_texture,
    )
    jobs = {stream: _job(setup, stream, seed, out) for stream in distinct_streams(setup.cells)}
    for one in jobs.values():
        if one.steps:
            require_trainable(one.training(parts))
    for stream, one in jobs.items():
        name = f"seed {seed}: {stream.architecture} {stream.input_name}"
        with job.step(name, network_cost(setup, stream)) as progress:
            one = chosen(one, parts, progress)
            networks[stream] = train_stream(one, parts, progress)
            for part in PARTS:
                views = getattr(parts, part)
                outputs[part][stream] = stored_outputs(
                    networks[stream], views, stream.input_name, folder=one.out, part=part
                )
            unseen = unseen_outputs(
                one,
                networks[stream],
                parts,
                outputs["validation"][stream],
                folds=setup.folds if setup.folded(stream) else 0,
                progress=progress,
            )
            for part, said in unseen.items():
                outputs[part][stream] = said
    return Trained(networks=networks, outputs=outputs, parts=parts, prior=setup.prior)


def _job(setup: Setup, stream: Stream, seed: int, out: Path) -> StreamJob:
    return StreamJob(
        architecture=stream.architecture,
        input_name=stream.input_name,
        recipe=setup.recipe_of(stream),
        seed=seed,
        out=out / stream.architecture / stream.input_name,
        imagenet=setup.imagenet.get(stream.architecture),
    )


def _cell_scores(
    setup: Setup, trained: Trained, cell: Cell, *, seed: int, out: Path, job: Job
) -> dict[str, Scores]:
    classifier, test = trained.classifier(cell), trained.parts.test
    views = fused_scores(classifier, joined_votes(cell, trained.outputs["test"]))
    scores = {FP32: _of_images(trained, views)}
    if not setup.int8:
        return scores
    with job.step(f"seed {seed}: {cell.method}, int8", cell_cost(cell)) as progress:
        kept = out / "int8" / f"{cell.slug}.npz"
        try:
            views = integer_scores(
                classifier,
                trained.parts.train,
                test,
                kept=kept,
                threads=setup.threads,
                progress=progress,
            )
        except ModelRefused as refusal:
            job.say(f"seed {seed}: {cell.method} has no int8: {refusal}")
            return scores
    return {**scores, INT8: _of_images(trained, views)}


def _of_images(trained: Trained, views: NDArray[np.float32]) -> Scores:
    return np.asarray(trained.parts.test.image_scores(views), dtype=np.float64)


def _counts(data: Data) -> dict[str, int]:
    counts = {}
    for part in PARTS:
        images = getattr(data.parts, part)
        counts[f"{part} images"] = len(images)
        counts[f"{part} specimens"] = len(set(images.specimen.tolist()))
    return counts
