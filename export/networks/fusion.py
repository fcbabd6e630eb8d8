"""Join networks into one classifier; the linear SVM that does it becomes one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork
from export.networks.svm import Target, Votes, linear_svm, slope_of, unseen_margins
from runtime.errors import ConfigRefused, InputRefused

Fusion = Literal["none", "early", "mid", "late"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
SINGLE: tuple[Fusion, ...] = ("none", "early")


class FusedClassifier(nn.Module):
    """Streams by name, their outputs ("votes"), and the linear layer over the votes of all streams.

    "none" and "early": one stream, votes are its logits; early means that its input is a stack of
    intensity and maps. "late": votes are the streams' softmax outputs. "mid": votes are the
    streams' features, for VGG those of its second fully connected layer. A stream is named by its
    input, or "architecture:input" where several architectures see the same input: an ensemble of
    architectures is such a late fusion.

    `fuse` starts as the identity for one stream and untrained for several: see `fit_fusion`.
    """

    def __init__(self, kind: Fusion, streams: Mapping[str, TileNetwork], *, classes: int) -> None:
        super().__init__()
        if kind not in FUSIONS or (kind in SINGLE) != (len(streams) == 1):
            raise ConfigRefused(
                f"fusion {kind!r} of {len(streams)} streams",
                value=", ".join(streams),
                limit="none or early with one stream, mid or late with several",
            )
        self.kind, self.classes = kind, classes
        self.streams = nn.ModuleDict(dict(streams))
        widths = [_width(net, kind, classes) for net in streams.values()]
        self.fuse = nn.Linear(sum(widths), classes)
        if kind in SINGLE:
            with torch.no_grad():
                self.fuse.weight.copy_(torch.eye(classes))
                self.fuse.bias.zero_()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of the distinct inputs, in the order `forward` takes them."""
        return tuple(dict.fromkeys(input_of(stream) for stream in self.streams))

    def votes(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the (n, v) votes of all streams side by side, from inputs by name."""
        said = [
            vote(network, inputs[input_of(name)], self.kind)
            for name, network in self.streams.items()
        ]
        return said[0] if len(said) == 1 else torch.cat(said, dim=1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the (n, classes) probabilities; the inputs come in the order of `inputs`."""
        named = dict(zip(self.inputs, inputs, strict=True))
        return torch.softmax(self.fuse(self.votes(named)), dim=1)


def vote(network: nn.Module, images: Tensor, kind: Fusion) -> Tensor:
    """Return the (n, v) votes of one stream of a fusion of that kind."""
    if kind == "mid":
        return network.features(images)
    logits = network(images)
    return torch.softmax(logits, dim=1) if kind == "late" else logits


def fit_fusion(
    classifier: FusedClassifier,
    votes: Votes,
    target: Target,
    *,
    held_out: tuple[Votes, Target] | None = None,
) -> None:
    """Fit the classifier's last layer, in place, so that its scores are probabilities.

    Several streams: a linear SVM, one against the rest, is fitted on the (n, v) `votes` of the
    training images. One stream: the votes are its logits. Either way one slope then makes margins
    into probabilities and leaves the decisions as they are.

    Calibration uses `held_out`, the votes and classes of the validation images, which no network
    was fitted on. Without them it uses margins that the SVM gave to folds it had not seen; the
    networks had seen those, so the scores will then be too sure of themselves.

    Raises InputRefused when a class has no image.
    """
    _check(classifier, target)
    single = classifier.kind in SINGLE
    weight, bias = (
        (np.eye(classifier.classes), np.zeros(classifier.classes))
        if single
        else linear_svm(votes, target, classifier.classes)
    )
    if held_out is not None:
        margins, judged = held_out[0] @ weight.T + bias, held_out[1]
    elif single:
        margins, judged = votes.astype(float), target
    else:
        margins, judged = unseen_margins(votes, target, classifier.classes), target
    slope = slope_of(margins, judged)
    with torch.no_grad():
        classifier.fuse.weight.copy_(torch.from_numpy(slope * weight))
        classifier.fuse.bias.copy_(torch.from_numpy(slope * bias))


def input_of(stream: str) -> str:
    """Return the input that a stream of this name sees."""
    return stream.rpartition(":")[2]


def _width(network: TileNetwork, kind: Fusion, classes: int) -> int:
    return network.feature_width if kind == "mid" else classes


def _check(classifier: FusedClassifier, target: Target) -> None:
    counts = np.bincount(target, minlength=classifier.classes)
    if len(counts) > classifier.classes or not counts.all():
        raise InputRefused(
            "the fusion cannot be fitted: a class has no image",
            value=f"images per class {counts.tolist()}",
            limit=f"at least 1 in each of {classifier.classes} classes",
        )
