"""Train one network of a task: steps, checkpoints, curves, and resuming after a stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.config.recipe import Recipe
from export.progress import Progress, silent
from export.training.checkpoint import Checkpoint, load, save
from export.training.curves import PICTURE, Row, draw_curves, write_curves
from export.training.device import arithmetic, best_device, place, to_arrays, to_device, uses_bf16
from export.training.optimiser import make_average, make_optimiser, make_schedule
from export.training.stream import (
    as_they_are,
    drawn,
    epoch_order,
    in_batches,
    read_batches,
)
from export.training.task import Arrays, Batch, Samples, Task, Tensors
from runtime.errors import ConfigRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One network to train: its task, recipe and seed, and the folder for checkpoint and curves."""

    task: Task
    recipe: Recipe
    seed: int
    out: Path

    @property
    def identity(self) -> dict[str, Any]:
        """Return what decides the weights; cores used and checkpoints kept are left out."""
        how = self.recipe.model_dump(exclude={"threads", "checkpoint_steps"})
        return {**self.task.identity(), "recipe": how, "seed": self.seed}


def require_trainable(what: TrainingJob) -> None:
    """Raise what `train` would before its first step, and train nothing.

    Of several networks none should train for an hour before the last one's folder is refused.
    """
    _begun(what, what.identity)


def train(what: TrainingJob, progress: Progress = silent) -> nn.Module:
    """Return the trained network, on the processor and in evaluation mode.

    After every epoch `out` holds a checkpoint and curves.csv, in the end curves.png. A training
    found there goes on where it stopped and ends as if it had never stopped, bit for bit; a
    finished one is loaded at once. Raises ConfigRefused when `out` holds another training.
    """
    identity = what.identity
    engine = _begun(what, identity)
    while not engine.finished:
        for _ in engine.epoch(progress):
            save(what.out, engine.checkpoint(), identity=identity)
        write_curves(what.out, engine.curves)
    if not (what.out / PICTURE).is_file():
        draw_curves(what.out, engine.curves, title=f"{what.task.label}, seed {what.seed}")
    network = engine.result
    network.to(device="cpu", memory_format=torch.contiguous_format)
    network.eval()
    return network


def answers(task: Task, network: nn.Module, samples: Samples, *, batch: int) -> Answers:
    """Return what a network gives for samples as they are, in order, in fp32."""
    device = next(network.parameters()).device
    network.eval()
    outputs, targets, losses = list[Arrays](), list[Arrays](), list[float]()
    groups = in_batches(np.arange(len(samples)), batch=batch)
    with torch.no_grad():
        for group, shown in zip(groups, read_batches(samples, groups, as_they_are), strict=True):
            loss, said = task.loss(network, to_device(shown, device))
            outputs.append(to_arrays(said))
            targets.append(shown.targets)
            losses.append(float(loss) * len(group))
    return Answers(
        outputs=_joined(outputs), targets=_joined(targets), loss=sum(losses) / len(samples)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Outputs and targets, (samples, ...) by name, and the mean loss."""

    outputs: Arrays
    targets: Arrays
    loss: float


def _begun(what: TrainingJob, identity: dict[str, Any]) -> _Engine:
    """Return the training, where its checkpoint left it if there is one."""
    engine = _Engine(what)
    held = load(what.out, identity=identity)
    if held is not None:
        try:
            engine.restore(held)
        except RuntimeError as error:
            # The same settings, but the network's code has changed since: other layers or shapes.
            raise ConfigRefused(
                f"checkpoint in {what.out} does not fit {what.task.label} as it is now",
                value=" ".join(str(error).split())[:200],
                remedy="choose another --out, or remove it to train afresh",
            ) from None
    return engine


class _Engine:
    """A training between two steps. Everything that decides the next one is in `checkpoint`:
    samples are drawn from seed and epoch, what the network draws from torch's generators.
    """

    def __init__(self, what: TrainingJob) -> None:
        self._task, self._recipe, self._seed = what.task, what.recipe, what.seed
        self._device = best_device()
        self._bf16 = uses_bf16(what.recipe, self._device)
        self._step, self.curves = 0, list[Row]()
        self._sums: dict[str, float] = {}
        torch.set_num_threads(what.recipe.threads)
        torch.manual_seed(what.seed)
        self._network = what.task.network()
        place(self._network, self._device)
        self._average = make_average(self._network, what.recipe.ema)
        self._optimiser = make_optimiser(self._network, what.recipe)
        self._epoch_steps = len(self._order(0))
        self._total = self._epoch_steps * what.recipe.epochs
        self._schedule = make_schedule(self._optimiser, what.recipe, steps=self._total)

    @property
    def finished(self) -> bool:
        return self._step == self._total

    @property
    def result(self) -> nn.Module:
        """The network that is judged: the averaged one where there is one."""
        return self._network if self._average is None else self._average.module

    def epoch(self, progress: Progress) -> Iterator[None]:
        """Go on to the end of the running epoch, and yield where a checkpoint is due."""
        epoch, done = divmod(self._step, self._epoch_steps)
        groups = self._order(epoch)[done:]
        self._network.train()
        for shown in read_batches(self._task.train, groups, drawn(self._seed, epoch)):
            self._learn(to_device(shown, self._device))
            mean = self._sums["loss"] / self._sums["samples"]
            progress(self._task.label, self._step, self._total, f"loss {mean:.3f}")
            if self._step % self._epoch_steps and self._due():
                yield
        self.curves = [*self.curves, self._row(epoch)]
        self._sums = {}
        yield

    def _due(self) -> bool:
        every = self._recipe.checkpoint_steps
        return every is not None and self._step % every == 0

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        return epoch_order(
            len(self._task.train),
            batch=self._recipe.batch,
            seed=self._seed,
            epoch=epoch,
            steps=self._recipe.epoch_steps,
        )

    def _learn(self, batch: Batch) -> None:
        with arithmetic(self._device, bf16=self._bf16):
            loss, outputs = self._task.loss(self._network, batch)
        self._optimiser.zero_grad()
        loss.backward()
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm)
        self._optimiser.step()
        self._schedule.step()
        if self._average is not None:
            self._average.update_parameters(self._network)
        self._step += 1
        self._count(loss, outputs, batch.targets)

    def _count(self, loss: Tensor, outputs: Tensors, targets: Tensors) -> None:
        size = len(next(iter(outputs.values())))
        found = self._task.metrics(to_arrays(outputs), to_arrays(targets))
        for name, value in {"loss": float(loss.detach()), **found, "samples": 1.0}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * size

    def _row(self, epoch: int) -> Row:
        """Return the epoch's line of the curves: means over its batches, and the validation."""
        learnt = {k: v / self._sums["samples"] for k, v in self._sums.items() if k != "samples"}
        said = answers(self._task, self.result, self._task.validation, batch=self._recipe.batch)
        judged = {"loss": said.loss, **self._task.metrics(said.outputs, said.targets)}
        row = {"epoch": float(epoch + 1)}
        for name in judged:
            row |= {f"train_{name}": learnt[name], f"validation_{name}": judged[name]}
        return row

    def checkpoint(self) -> Checkpoint:
        cuda = torch.cuda.get_rng_state_all() if self._device.type == "cuda" else []
        return Checkpoint(
            step=self._step,
            network=self._network.state_dict(),
            average=None if self._average is None else self._average.state_dict(),
            optimiser=self._optimiser.state_dict(),
            schedule=self._schedule.state_dict(),
            generators=[torch.get_rng_state(), *cuda],
            sums=self._sums,
            curves=self.curves,
        )

    def restore(self, held: Checkpoint) -> None:
        self._network.load_state_dict(held.network)
        if self._average is not None and held.average is not None:
            self._average.load_state_dict(held.average)
        self._optimiser.load_state_dict(held.optimiser)
        self._schedule.load_state_dict(held.schedule)
        torch.set_rng_state(held.generators[0])
        if self._device.type == "cuda" and held.generators[1:]:
            torch.cuda.set_rng_state_all(held.generators[1:])
        self._step, self._sums, self.curves = held.step, held.sums, held.curves


def _joined(arrays: list[Arrays]) -> Mapping[str, NDArray[Any]]:
    return {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}
