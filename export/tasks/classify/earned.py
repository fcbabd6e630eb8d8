"""What a model says of its streams: which earned their place, by how much, and from what."""

from __future__ import annotations

from export.config.training import TrainingConfig
from export.datasets.labelled import DataSplit
from export.networks.fusion import FusedClassifier
from export.networks.pooling import CHANCE_NATS
from export.networks.texture import TextureNet
from export.tasks.classify.streams import linear_folds


def streams_said(
    config: TrainingConfig, classifier: FusedClassifier, parts: DataSplit, *, seed: int
) -> str:
    """Return one line: the streams of a fitted classifier, those of a late fusion with what each
    gained and what was left out for gaining too little; what learned from the validation images
    too; and how common the classes were taken to be.
    """
    said = _earned(classifier) if classifier.gains else f"streams {', '.join(classifier.streams)}"
    linear = any(isinstance(one, TextureNet) and one.linear for one in classifier.streams.values())
    if linear and linear_folds(parts.train, parts.validation, seed=seed):
        said += ", the linear machine on texture fitted on the validation images as well"
    if config.fusion.kind != "late":
        return said
    if parts.train.specimens == 1:
        said += ", by how they did on the validation images: one specimen leaves none to hold out"
    prior = config.fusion.prior
    shares = ["alike"] if prior is None else [f"{share:.3g}" for share in prior]
    return f"{said}; classes expected {', '.join(shares)}"


def _earned(classifier: FusedClassifier) -> str:
    """Return the streams in the order in which they joined, with what each gained."""
    gained = {name: f"{name} {nats:+z.1f} nats" for name, nats in classifier.gains.items()}
    heard = [words for name, words in gained.items() if name in classifier.streams]
    idle = [words for name, words in gained.items() if name not in classifier.streams]
    said = f"streams {', '.join(heard)}"
    if idle:
        said += f", left out {', '.join(idle)} (up to {CHANCE_NATS:g} is chance)"
    return f"{said}: how much likelier each made all held-out views, the first beside a guess"
