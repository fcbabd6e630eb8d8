"""The outputs of a model for views. A model in parts runs part by part, since the whole may be too
large for one ONNX file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import onnxruntime

from export.convert.parts import ModelParts
from runtime.inference.backends import open_session
from runtime.inference.onnxruntime_session import session_options
from runtime.inference.session import Backend, Outputs
from runtime.preprocess.inputs import Inputs

THREADS = 2


class Views(Protocol):
    """Inputs by number: a list, or what makes them when they are asked for."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, view: int, /) -> Inputs:
        """Return the inputs of one view."""

    def __iter__(self) -> Iterator[Inputs]:
        """Yield all of them in order."""


def model_outputs(model: bytes, views: Views, *, backend: Backend) -> Outputs:
    """Return by name what an ONNX model gives out for each of the views, (views, ...)."""
    session = open_session(model, backend=backend, threads=THREADS)
    found = [session.run(view) for view in views]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def part_outputs(parts: ModelParts, views: Views) -> Outputs:
    """Return the same of a model in parts, in ONNX Runtime."""
    return tail_outputs(parts.tail, votes(parts, views))


def votes(parts: ModelParts, views: Views) -> list[Inputs]:
    """Return, for each view, the votes of all streams; one stream is loaded at a time."""
    found: list[Inputs] = [{} for _ in range(len(views))]
    for model in parts.streams.values():
        found = replaced(found, stream_votes(model, views))
    return found


def stream_votes(model: bytes, views: Views) -> list[Inputs]:
    """Return, for each view, the vote of one stream."""
    session = stream_session(model)
    (entry,), (vote,) = session.get_inputs(), session.get_outputs()
    return [
        {vote.name: np.asarray(session.run([vote.name], {entry.name: view[entry.name]})[0])}
        for view in views
    ]


def stream_session(model: bytes) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session for one stream, set up as on the device."""
    options = session_options(THREADS, "together")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def replaced(votes: list[Inputs], by: list[Inputs]) -> list[Inputs]:
    """Return the votes with some of them exchanged."""
    return [{**one, **other} for one, other in zip(votes, by, strict=True)]


def tail_outputs(tail: bytes, votes: list[Inputs]) -> Outputs:
    """Return by name the outputs of the tail for these votes, (views, ...)."""
    return model_outputs(tail, votes, backend="onnxruntime")
