"""The outputs of trained networks for views, kept on disk, and the fusions fitted to them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit
from export.evaluate.methods import Cell, Stream
from export.networks.base import TileNetwork
from export.networks.fusion import FusedClassifier, fit_fusion
from export.networks.pooling import HeldOut
from export.progress import Progress, silent
from export.tasks.classify.folds import UnseenVotes, joined, votes_unseen
from export.tasks.classify.streams import StreamJob
from export.training.device import best_device

BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOutputs:
    """One network's (views, classes) logits and (views, f) features, float32."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]

    def votes(self, kind: str) -> NDArray[np.float32]:
        """Return what `FusedClassifier.votes` would, of this stream, in a fusion of that kind."""
        if kind == "mid":
            return self.features
        return np.asarray(log_softmax(self.logits, axis=1)) if kind == "late" else self.logits


def network_outputs(
    network: TileNetwork, prepared: PreparedViews, input_name: str
) -> NetworkOutputs:
    """Return what the network gives for every view as it is, in order, in fp32."""
    network.eval()
    device = best_device()
    network.to(device)
    logits, features = [], []
    with torch.inference_mode():
        for stacked in prepared.in_order(input_name, batch=BATCH):
            images = torch.from_numpy(stacked).to(device)
            logits.append(network(images).float().cpu().numpy())
            features.append(network.features(images).float().cpu().numpy())
    network.to("cpu")
    return NetworkOutputs(logits=np.concatenate(logits), features=np.concatenate(features))


def stored_outputs(
    network: TileNetwork, prepared: PreparedViews, input_name: str, *, folder: Path, part: str
) -> NetworkOutputs:
    """Return `network_outputs`, read from `folder` where an earlier run left them."""
    key = _key(network, prepared.fingerprint(input_name))
    path = folder / f"outputs_{part}.npz"
    if path.is_file():
        with np.load(path) as kept:
            if str(kept["key"]) == key:
                return NetworkOutputs(logits=kept["logits"], features=kept["features"])
    outputs = network_outputs(network, prepared, input_name)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, key=np.array(key), logits=outputs.logits, features=outputs.features)
    return outputs


def unseen_outputs(
    job: StreamJob,
    network: TileNetwork,
    parts: PreparedSplit,
    validation: NetworkOutputs,
    *,
    folds: int,
    progress: Progress = silent,
) -> dict[str, NetworkOutputs]:
    """Return what a trained stream says of views of specimens unseen: of those of "validation",
    and as "folds" of the training views, where their specimens can be divided.

    Features, which differ from one training to the next, are the network's own: `validation`.
    """

    def say(one: TileNetwork, views: PreparedViews) -> NDArray[np.float32]:
        return network_outputs(one, views, job.input_name).logits

    said = votes_unseen(job, network, parts, say, folds=folds, progress=progress)
    found = {"validation": replace(validation, logits=said.validation)}
    if said.train is None:
        return found
    without = np.empty((len(said.train), 0), np.float32)
    return {**found, "folds": NetworkOutputs(logits=said.train, features=without)}


def fit_cell(
    cell: Cell,
    networks: Mapping[Stream, TileNetwork],
    outputs: Mapping[str, Mapping[Stream, NetworkOutputs]],
    parts: PreparedSplit,
    *,
    prior: NDArray[np.float64] | None = None,
) -> FusedClassifier:
    """Return the cell's classifier, its last layer fitted; `outputs` go by part, those of the folds
    as "folds".

    What joins late fusion is fitted on votes for specimens unseen: of the folds and of validation.
    """
    chosen = [networks[stream] for stream in cell.streams]
    streams = dict(zip(stream_names(cell.streams), chosen, strict=True))
    classifier = FusedClassifier(cell.kind, streams, classes=len(parts.train.images.classes))
    held_out = HeldOut(
        votes=joined_votes(cell, outputs["validation"]), target=parts.validation.target
    )
    if cell.kind == "late":
        held_out = joined(_unseen_votes(cell, outputs), parts)
    learned = joined_votes(cell, outputs["train"]), parts.train.target
    fit_fusion(classifier, learned, held_out, prior=prior)
    classifier.eval()
    return classifier


def _unseen_votes(
    cell: Cell, outputs: Mapping[str, Mapping[Stream, NetworkOutputs]]
) -> list[UnseenVotes]:
    folds, validation = outputs.get("folds", {}), outputs["validation"]
    return [
        UnseenVotes(
            train=folds[stream].votes(cell.kind) if stream in folds else None,
            validation=validation[stream].votes(cell.kind),
        )
        for stream in cell.streams
    ]


def joined_votes(cell: Cell, outputs: Mapping[Stream, NetworkOutputs]) -> NDArray[np.float32]:
    """Return the (views, v) votes of the cell's streams side by side."""
    votes = [outputs[stream].votes(cell.kind) for stream in cell.streams]
    return np.concatenate(votes, axis=1)


def fused_scores(classifier: FusedClassifier, votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (views, classes) scores that the classifier's last layer gives these votes."""
    with torch.inference_mode():
        scores = torch.softmax(classifier.fuse(torch.from_numpy(votes)), dim=1)
    return np.asarray(scores.numpy(), dtype=np.float32)


def stream_names(streams: Sequence[Stream]) -> list[str]:
    """Return a name for each stream: its input, with its architecture where those differ."""
    several = len({stream.architecture for stream in streams}) > 1
    return [f"{s.architecture}:{s.input_name}" if several else s.input_name for s in streams]


def _key(network: TileNetwork, views: str) -> str:
    digest = hashlib.sha256(views.encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
