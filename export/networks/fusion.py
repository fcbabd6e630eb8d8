"""Join networks into one classifier; what joins them becomes one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.networks.base import TileNetwork
from export.networks.pooling import HeldOut, pool
from export.networks.svm import Target, Votes, linear_svm, slope_of
from runtime.errors import ConfigRefused, InputRefused

Fusion = Literal["none", "early", "mid", "late"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
SINGLE: tuple[Fusion, ...] = ("none", "early")


class FusedClassifier(nn.Module):
    """Streams by name, their outputs ("votes"), and the linear layer over the votes of all streams.

    "none" and "early": one stream, votes are its logits; early means that its input is a stack of
    intensity and maps. "late": votes are the logarithms of the streams' softmax outputs. "mid":
    votes are the streams' features, for VGG those of its second fully connected layer. A stream is
    named by its input, or "architecture:input" where several architectures see the same input: an
    ensemble of architectures is such a late fusion.

    `fuse` starts as the identity for one stream and untrained for several: see `fit_fusion`, which
    also fills `gains` of a late fusion: nats by stream, also of one left out since, as in `Pool`.
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
        self.gains: Mapping[str, float] = {}
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
    return torch.log_softmax(logits, dim=1) if kind == "late" else logits


def fit_fusion(
    classifier: FusedClassifier,
    learned: tuple[Votes, Target],
    held_out: HeldOut,
    *,
    prior: NDArray[np.float64] | None = None,
) -> None:
    """Fit the classifier's last layer, in place, so that its scores are probabilities.

    "late": one weight a stream, fitted on `held_out`, the votes of streams for specimens that they
    were not trained on (`pool`); `prior` (classes,) says how common the classes are where the model
    will work, without it all alike. Streams that add nothing get weight 0. "mid": a linear SVM, one
    against the rest, on the features of the training images, `learned`: features of networks
    trained apart have nothing in common, so folds cannot help. One stream: its logits. Of these two
    one slope, fitted on `held_out`, the validation images, makes probabilities of the margins and
    leaves the decisions as they are.

    Raises InputRefused when a class has no image.
    """
    _check(classifier, learned[1])
    _check(classifier, held_out.target)
    classes = classifier.classes
    if classifier.kind == "late":
        found = pool(held_out, classes=classes, prior=prior)
        names = list(classifier.streams)
        classifier.gains = {names[stream]: nats for stream, nats in found.gains.items()}
        blocks = [weight * np.eye(classes) for weight in found.weights]
        weight, bias = np.concatenate(blocks, axis=1), found.offsets
    else:
        single = classifier.kind in SINGLE
        margin = np.eye(classes), np.zeros(classes)
        weight, bias = margin if single else linear_svm(*learned, classes)
        slope = slope_of(held_out.votes @ weight.T + bias, held_out.target)
        weight, bias = slope * weight, slope * bias
    with torch.no_grad():
        classifier.fuse.weight.copy_(torch.from_numpy(weight))
        classifier.fuse.bias.copy_(torch.from_numpy(bias))


def without_idle(classifier: FusedClassifier) -> FusedClassifier:
    """Return a late fusion without the streams whose weight is 0; any other as it is."""
    if classifier.kind != "late":
        return classifier
    blocks = classifier.fuse.weight.detach().split(classifier.classes, dim=1)
    heard = [name for name, block in zip(classifier.streams, blocks, strict=True) if block.any()]
    if len(heard) == len(blocks):
        return classifier
    weights = [block for block in blocks if block.any()]
    kind: Fusion = "late" if len(heard) > 1 else "none"
    streams = {name: cast("TileNetwork", classifier.streams[name]) for name in heard}
    kept = FusedClassifier(kind, streams, classes=classifier.classes)
    kept.gains = classifier.gains
    with torch.no_grad():
        # One stream's logits differ from the logarithms of its probabilities by what softmax drops.
        kept.fuse.weight.copy_(torch.cat(weights, dim=1))
        kept.fuse.bias.copy_(classifier.fuse.bias)
    kept.eval()
    return kept


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
