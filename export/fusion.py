"""Late fusion: the streams' softmax outputs, joined by a linear SVM with calibrated scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor, nn


class LateFusion(nn.Module):
    """Streams by input name, and the linear layer that the SVM becomes."""

    def __init__(self, streams: Mapping[str, nn.Module], classes: int = 2) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(dict(streams))
        self.fuse = nn.Linear(classes * len(streams), classes)

    def opinions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the (n, streams * classes) softmax outputs side by side."""
        votes = [torch.softmax(net(inputs[name])[0], dim=1) for name, net in self.streams.items()]
        return torch.cat(votes, dim=1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the (n, classes) scores; the inputs come in the order of the streams."""
        named = dict(zip(self.streams, inputs, strict=True))
        return torch.softmax(self.fuse(self.opinions(named)), dim=1)


def fit_svm(fusion: LateFusion, opinions: NDArray[np.float32], target: NDArray[np.int64]) -> None:
    """Fit a two-class linear SVM to the opinions and fold it, calibrated, into `fusion.fuse`.

    The margin d becomes a probability by Platt's sigmoid (1999) of a·d + b; as softmax over
    (-(a·d + b)/2, +(a·d + b)/2) that is one linear layer.
    """
    svm = LinearSVC(C=1.0, random_state=0).fit(opinions, target)
    margin = svm.decision_function(opinions)[:, None]
    platt = LogisticRegression(C=1e3).fit(margin, target)
    steepness, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    weight = torch.tensor(steepness * svm.coef_[0], dtype=torch.float32)
    bias = steepness * float(svm.intercept_[0]) + offset
    with torch.no_grad():
        fusion.fuse.weight.copy_(torch.stack([-weight, weight]) / 2)
        fusion.fuse.bias.copy_(torch.tensor([-bias, bias]) / 2)
