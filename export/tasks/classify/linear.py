"""The linear machine on the texture of whole views.

It is fitted in one go: nothing stops it, and nothing of it is chosen, so it has no use for images
kept back. Where specimens can be divided it learns from the validation images as well, and what it
would say of any specimen unseen is known from machines fitted without that one (`folds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from export.config.recipe import ClassifyRecipe
from export.datasets.prepared import PreparedViews
from export.networks.registry import make_network
from export.networks.texture import LEAST_DEVIATION, TextureNet
from export.tasks.classify.task import class_weights
from runtime.preprocess.code_classes import TEXTURE_CHANNELS
from runtime.preprocess.spec import TEXTURE

LINEAR = "texture-linear"
BATCH = 32
# Of logistic regression on standardised shares. Ten folds of steel's training and validation
# specimens rank as well with 10 (AUROC 0.71, means of five divisions), worse with 0.1 (0.67).
C = 1.0


def linear_texture(parts: Sequence[PreparedViews], recipe: ClassifyRecipe) -> TextureNet:
    """Return logistic regression on the shares of whole views of all `parts`, as a network."""
    learned = [part for part in parts if len(part)]
    shares = np.concatenate([_shares(part) for part in learned])
    target = np.concatenate([part.target for part in learned])
    classes = len(learned[0].images.classes)
    mean, deviation = shares.mean(axis=0), np.maximum(shares.std(axis=0), LEAST_DEVIATION)
    weights = class_weights(target, recipe, classes=classes).numpy()[target]
    fitted = LogisticRegression(C=C, max_iter=2000).fit(
        (shares - mean) / deviation, target, sample_weight=weights
    )
    network = make_network(LINEAR, channels=TEXTURE_CHANNELS, classes=classes)
    network = cast("TextureNet", network)
    network.standardise(torch.from_numpy(mean), torch.from_numpy(deviation))
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        network.cells.weight.copy_(torch.from_numpy(weight[:, :, None, None]))
        network.cells.bias.copy_(torch.from_numpy(bias))
    network.eval()
    return network


def _shares(views: PreparedViews) -> NDArray[np.float32]:
    shares = np.concatenate(list(views.in_order(TEXTURE, batch=BATCH)))
    return np.asarray(shares.mean(axis=(2, 3)))
