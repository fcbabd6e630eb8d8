"""What `classify.py` runs: one set of weights, as a torch module and as the device's int8 file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx.numpy_helper import to_array
from skimage.feature import local_binary_pattern
from sklearn.svm import LinearSVC

from export.bundle.artefacts import Artefacts
from export.convert.graph import to_parts
from export.convert.parts import VOTE
from export.networks.base import TileNetwork
from export.networks.compact import Head
from export.networks.fusion import FusedClassifier, Fusion
from export.networks.registry import make_network
from export.quantise import to_int8
from export.tasks.classify.build import LUT
from export.training.checkpoint import FILE
from runtime.preprocess.code_classes import CLASS_OF_CODE, CODE_CLASSES, TEXTURE_RADII_PX
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.spec import (
    PART_RADII_PX,
    TEXTURE,
    PreprocessSpec,
    input_channels,
    input_parts,
)
from runtime.preprocess.texture import counted_rows, dithered

Pixels = NDArray[np.uint16]
CLASSES = 2
# The last layer, which stays in fp32, in an exported graph.
FUSE = "fuse."


@dataclass(frozen=True, kw_only=True)
class Case:
    """A classifier twice over, and how both see a tile."""

    name: str
    classifier: FusedClassifier
    int8: bytes
    spec: PreprocessSpec
    lut: NDArray[np.float32]
    cuts: tuple[str, ...]


def random_classifier(architecture: str, spec: PreprocessSpec) -> FusedClassifier:
    """Return a late fusion of fresh networks, the same at every call."""
    torch.manual_seed(0)
    streams = {
        name: make_network(
            "texture-linear" if name == TEXTURE else architecture,
            channels=spec.channels(name),
            classes=CLASSES,
        )
        for name in spec.inputs
    }
    return FusedClassifier("late", streams, classes=CLASSES).eval()


def random_case(
    architecture: str, spec: PreprocessSpec, lut: NDArray[np.float32], tiles: list[Pixels]
) -> Case:
    """Return a late fusion of fresh networks, quantised on the tiles."""
    classifier = random_classifier(architecture, spec)
    examples = [to_input(tile, spec, lut) for tile in tiles]
    parts = to_parts(classifier, examples[0])
    return Case(
        name=architecture,
        classifier=classifier,
        int8=to_int8(parts, examples),
        spec=spec,
        lut=lut,
        cuts=tuple(VOTE + stream for stream in parts.streams),
    )


def classifier_of(
    source: str, streams: Mapping[str, tuple[str, ...]], lut: NDArray[np.float32]
) -> tuple[FusedClassifier, PreprocessSpec, NDArray[np.float32]]:
    """Return the torch side alone of an architecture with fresh weights, or of a trained folder."""
    if source in streams:
        spec = PreprocessSpec(inputs=streams[source])
        return random_classifier(source, spec), spec, lut
    case = read_case(Path(source))
    return case.classifier, case.spec, case.lut


def read_case(folder: Path) -> Case:
    """Return what a training left in a folder: its streams' checkpoints and its artefacts."""
    artefacts = Artefacts.read(folder)
    spec = PreprocessSpec.from_json(artefacts.about["input"]["preprocessing"])
    return Case(
        name=folder.name,
        classifier=_classifier(folder, onnx.load_model_from_string(artefacts.int8).graph, spec),
        int8=artefacts.int8,
        spec=spec,
        lut=np.asarray(artefacts.arrays[LUT], np.float32),
        cuts=tuple(artefacts.about["networks"]["cuts"]),
    )


def _classifier(folder: Path, graph: onnx.GraphProto, spec: PreprocessSpec) -> FusedClassifier:
    """Return the trained streams, joined as the exported graph joins them."""
    fuse = {
        one.name.removeprefix(FUSE): torch.from_numpy(to_array(one).copy())
        for one in graph.initializer
        if one.name in (FUSE + "weight", FUSE + "bias")
    }
    classes, width = fuse["weight"].shape
    joined = [node for node in graph.node if node.op_type == "Concat"]
    votes = [name for name in (joined[-1].input if joined else ()) if name.startswith(VOTE)]
    names = [name.removeprefix(VOTE) for name in votes] or list(spec.inputs)
    trained = [_checkpoint(path) for path in sorted(folder.rglob(FILE))]
    streams = {name: _network(name, trained, classes) for name in names}
    kind: Fusion = "none" if len(names) == 1 else "late" if width == classes * len(names) else "mid"
    classifier = FusedClassifier(kind, streams, classes=classes).eval()
    classifier.fuse.load_state_dict(fuse)
    return classifier


def _checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a checkpoint was trained as, and its weights: their average if there is one."""
    found = torch.load(path, map_location="cpu", weights_only=True)
    average, start = found["average"] or {}, "module."
    weights = {k.removeprefix(start): v for k, v in average.items() if k.startswith(start)}
    return json.loads(found["identity"]), weights or found["network"]


def _network(
    stream: str, trained: list[tuple[dict[str, Any], dict[str, torch.Tensor]]], classes: int
) -> TileNetwork:
    architecture, _, wanted = stream.rpartition(":")
    about, weights = next(
        (about, weights)
        for about, weights in trained
        if about["input"] == wanted and architecture in ("", about["architecture"])
    )
    channels = input_channels(wanted)
    head: Head = "area" if any(name.startswith("decide.") for name in weights) else "pooled"
    network = make_network(about["architecture"], channels=channels, classes=classes, head=head)
    network.load_state_dict(weights)
    return network


class Reference:
    """The same decision from the libraries a laboratory would use."""

    def __init__(
        self, classifier: FusedClassifier, spec: PreprocessSpec, lut: NDArray[np.float32]
    ) -> None:
        self._classifier, self._spec, self._lut = classifier, spec, lut
        weight, bias = (value.detach().numpy() for value in classifier.fuse.parameters())
        self._svm = LinearSVC()
        self._svm.classes_ = np.arange(len(bias))
        two = len(bias) == 2
        self._svm.coef_ = weight[1:] - weight[:1] if two else weight
        self._svm.intercept_ = bias[1:] - bias[:1] if two else bias

    def inputs(self, tile: Pixels) -> Inputs:
        """Return the inputs by full-size maps, bit for bit those of the device."""
        intensity = normalised_intensity(tile, self._spec)
        maps = {"intensity": intensity.scaled[None]}
        if self._spec.counts_texture:
            levels = self._spec.texture_dither * intensity.contrast_levels
            maps[TEXTURE] = self._texture(dithered(tile, dither_levels=levels))
        for part, radius_px in PART_RADII_PX.items():
            if radius_px in self._spec.radii_px:
                maps[part] = self._map(tile, radius_px)
        return {
            name: np.concatenate([maps[part] for part in input_parts(name)])[None].astype(
                np.float32
            )
            for name in self._spec.inputs
        }

    def _texture(self, steps: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the shares of the classes of codes in every cell of the dithered tile."""
        cells, (height, width) = self._spec.texture_cells, steps.shape
        rows = counted_rows(height_px=height, width_px=width, points=self._spec.texture_points)
        columns = np.searchsorted(np.arange(1, cells) * width // cells, np.arange(width), "right")
        place = (rows * cells // height)[:, None] * cells + columns
        found = []
        for radius_px in TEXTURE_RADII_PX:
            codes = local_binary_pattern(steps, 8, radius_px, method="default").astype(np.uint8)
            joint = CLASS_OF_CODE[codes[rows]] * cells**2 + place
            counts = np.bincount(joint.ravel(), minlength=CODE_CLASSES * cells**2)
            shares = counts.reshape(CODE_CLASSES, cells, cells)
            found.append(shares / np.maximum(shares.sum(axis=0), 1))
        return np.concatenate(found)

    def _map(self, tile: Pixels, radius_px: int) -> NDArray[np.float32]:
        codes = local_binary_pattern(tile, 8, radius_px, method="default").astype(np.uint8)
        size = (self._spec.width_px, self._spec.height_px)
        small = cv2.resize(self._lut[codes], size, interpolation=cv2.INTER_NEAREST)
        return np.ascontiguousarray(small.transpose(2, 0, 1))

    def decide(self, tile: Pixels) -> int:
        """Return the index of the class."""
        named = {name: torch.from_numpy(array) for name, array in self.inputs(tile).items()}
        with torch.inference_mode():
            votes = self._classifier.votes(named).numpy()
        return int(self._svm.predict(votes)[0])
