"""What the parts of a classifier say, run one after the other: its whole need not fit one file."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.convert.parts import Parts
from runtime.inference.backends import open_session
from runtime.inference.onnxruntime_session import session_options
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES

# By view, the votes by tensor name: what the tail takes as its inputs.
Votes = list[Inputs]


def part_scores(parts: Parts, views: list[Inputs], *, threads: int = 2) -> NDArray[np.float32]:
    """Return the (views, classes) scores of a classifier in ONNX Runtime, a view at a time."""
    return tail_scores(parts.tail, all_votes(parts, views, threads=threads))


def all_votes(parts: Parts, views: list[Inputs], *, threads: int = 2) -> Votes:
    """Return what every stream says of the views; one stream is loaded at a time."""
    votes: Votes = [{} for _ in views]
    for model in parts.streams.values():
        votes = replaced(votes, stream_votes(model, views, threads=threads))
    return votes


def stream_votes(model: bytes, views: list[Inputs], *, threads: int = 2) -> Votes:
    """Return what one stream says of the views."""
    session = stream_session(model, threads=threads)
    (entry,), (vote,) = session.get_inputs(), session.get_outputs()
    return [
        {vote.name: np.asarray(session.run([vote.name], {entry.name: view[entry.name]})[0])}
        for view in views
    ]


def stream_session(model: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session for one stream, set up as on the device."""
    options = session_options(threads, "together")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def replaced(votes: Votes, by: Votes) -> Votes:
    """Return the votes with some of them exchanged."""
    return [{**one, **other} for one, other in zip(votes, by, strict=True)]


def tail_scores(tail: bytes, votes: Votes) -> NDArray[np.float32]:
    """Return the (views, classes) scores that follow from the votes."""
    session = open_session(tail, backend="onnxruntime", threads=1)
    return np.stack([session.run(one)[SCORES][0] for one in votes])
