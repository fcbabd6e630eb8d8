"""A whole classifier, quantised stream by stream, so that none of its fp32 needs one file."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from export.convert.parts import Parts, layer_of
from export.quantise.qdq import CalibratedStream
from runtime.preprocess.inputs import Inputs


class Calibrated:
    """The streams of an fp32 classifier, each calibrated on the same tiles from `to_input`.

    `layers` are the names, in the joined model, of what can become int8.
    """

    def __init__(self, parts: Parts, examples: list[Inputs]) -> None:
        self.parts = parts
        classes = _classes(parts.tail)
        self._streams = {
            name: CalibratedStream(model, examples, classes=classes)
            for name, model in parts.streams.items()
        }
        self._places = {
            layer_of(name, layer): (name, layer)
            for name, stream in self._streams.items()
            for layer in stream.layers
        }
        self.layers = tuple(self._places)

    def int8(self, *, keep: Collection[str] = ()) -> bytes:
        """Return the joined int8 model, with the layers named in `keep` and the tail in fp32.

        Raises ModelRefused when even that is too large for one file.
        """
        kept: dict[str, list[str]] = {name: [] for name in self._streams}
        for joined_name in keep:
            name, layer = self._places[joined_name]
            kept[name].append(layer)
        streams = {name: one.int8(keep=kept[name]) for name, one in self._streams.items()}
        return Parts(streams=streams, tail=self.parts.tail).joined()

    def only(self, layer: str) -> bytes:
        """Return the stream that has this layer, with no other in int8."""
        name, own = self._places[layer]
        return self._streams[name].only(own)


def to_int8(parts: Parts, examples: list[Inputs]) -> bytes:
    """Return the joined model in int8, all of it but the tail, unjudged; see `quantise` for the
    gate. `examples` are single tiles from `to_input`.
    """
    return Calibrated(parts, examples).int8()


def _classes(tail: bytes) -> int:
    shape = onnx.load_model_from_string(tail).graph.output[0].type.tensor_type.shape
    return int(shape.dim[1].dim_value)
