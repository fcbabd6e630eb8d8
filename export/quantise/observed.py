"""What the tensors of a stream hold on the calibration tiles: how often which value, and means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import make_tensor_value_info

from export.quantise.votes import stream_session
from runtime.preprocess.inputs import Inputs

BINS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The values of a tensor on one tile: `counts` (BINS,) in equal bins from `lowest` to
    `highest`, which take in zero; values that are exactly zero are left out.
    """

    lowest: float
    highest: float
    counts: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.float64]:
        """The (BINS,) middles of the bins."""
        width = (self.highest - self.lowest) / BINS
        return np.asarray(self.lowest + (np.arange(BINS) + 0.5) * width, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """By tensor: a histogram for every tile, and the (channels,) mean over tiles and positions."""

    histograms: Mapping[str, list[Histogram]]
    means: Mapping[str, NDArray[np.float64]]


def observe(
    model: onnx.ModelProto, examples: list[Inputs], *, operations: Collection[str]
) -> Observed:
    """Return what these operations read and give in a stream, but for its weights."""
    tensors = _activations(model.graph, operations)
    entry = model.graph.input[0].name
    made = [name for name in tensors if name != entry]
    session = stream_session(_with_outputs(model, made), threads=2)
    histograms: dict[str, list[Histogram]] = {name: [] for name in tensors}
    sums: dict[str, NDArray[np.float64]] = {name: np.zeros(()) for name in tensors}
    for example in examples:
        found = dict(zip(made, session.run(made, {entry: example[entry]}), strict=True))
        for name in tensors:
            values = example[entry] if name == entry else np.asarray(found[name])
            histograms[name].append(_histogram(values))
            everywhere = tuple(axis for axis in range(values.ndim) if axis != 1)
            sums[name] = sums[name] + values.mean(axis=everywhere, dtype=np.float64)
    means = {name: total / len(examples) for name, total in sums.items()}
    return Observed(histograms=histograms, means=means)


def _activations(graph: onnx.GraphProto, operations: Collection[str]) -> list[str]:
    weights = {tensor.name for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in operations]
    names = [name for node in nodes for name in (*node.input, *node.output)]
    return [name for name in dict.fromkeys(names) if name not in weights]


def _with_outputs(model: onnx.ModelProto, tensors: list[str]) -> bytes:
    """Return the stream with these tensors as its outputs."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(
        make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors
    )
    return bytes(opened.SerializeToString())


def _histogram(values: NDArray[np.float32]) -> Histogram:
    lowest, highest = min(0.0, float(values.min())), max(0.0, float(values.max()))
    other = values[values != 0]
    # Not np.histogram, which takes thrice as long over its bins' last bits.
    places = ((other - lowest) * (BINS / max(highest - lowest, 1e-30))).astype(np.int64)
    counts = np.bincount(np.minimum(places, BINS - 1), minlength=BINS)
    return Histogram(lowest=lowest, highest=highest, counts=counts)
