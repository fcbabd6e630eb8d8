"""From a configuration and a seed to artefacts: train, export, quantise, measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import Artefacts
from export.bundle.card import model_card
from export.datasets.defocus.frames import known_frames
from export.networks.defocus.network import DefocusNetwork
from export.progress import Progress, silent
from export.quantise import Quantised, quantise
from export.tasks.focus.config import FocusConfig, read_focus_config
from export.tasks.focus.convert import to_focus_parts
from export.tasks.focus.data import VALIDATION_SEED, FieldSplit, read_fields
from export.tasks.focus.judge import TOLERANCE, measure, side
from export.tasks.focus.samples import FieldSamples
from export.tasks.focus.sigma import UnpackedRegressor, sigma_scale
from export.tasks.focus.task import FocusTask
from export.tasks.focus.words import words_of
from export.training.engine import TrainingJob, train
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs
from runtime.tasks.focus.record import DEFOCUS, SPREAD, Defocusing, DefocusInput

CALIBRATION_FIELDS, GOLDEN_CROPS = 16, 3
# So many frames of every kind, and as many sparse ones, tell how honest σ is.
SIGMA_FRAMES = 12
# How far a defocus may lie from the expected one on a back end that was not seen.
LEAST_TOLERANCE_UM = 0.5


def make_regressor(
    config: Path, folder: Path | None, *, seed: int, out: Path, progress: Progress = silent
) -> Artefacts:
    """Return the artefacts of a configuration file, the images of which lie in `folder`."""
    settings = read_focus_config(config)
    data = read_fields(settings, folder, seed=seed)
    return build(settings, data, seed=seed, out=out, progress=progress)


def build(
    config: FocusConfig, data: FieldSplit, *, seed: int, out: Path, progress: Progress = silent
) -> Artefacts:
    """Return the artefacts of one seed; checkpoints and curves go into a folder of `out` that is
    named after the inputs.

    Raises ModelRefused when int8 errs by more than its gate allows on validation crops.
    """
    task = FocusTask(config=config, train=data.train, validation=data.validation, data=data.digest)
    job = TrainingJob(task=task, recipe=config.recipe, seed=seed, out=out / task.label)
    parts = to_focus_parts(cast("DefocusNetwork", train(job, progress)), config)
    judged = held_crops(data.validation, len(data.validation))
    judge = DefocusJudge(true_um=judged.z_um, depth_um=config.optics.depth_of_field_um)
    examples = held_crops(data.train, CALIBRATION_FIELDS).inputs
    quantised = quantise(parts, examples, judged.inputs, judge, progress=progress)
    frames = known_frames(data.validation.scenery, SIGMA_FRAMES, seed=VALIDATION_SEED)
    unscaled = UnpackedRegressor.of(
        quantised.int8, _record(config, scale=1.0), side_px=config.side_px, parts=config.inputs
    )
    record = _record(config, scale=max(sigma_scale(unscaled, frames), 0.1))
    about = _about(config, record, quantised, judged, seed=seed)
    return Artefacts(
        about=about,
        fp32=parts.joined(),
        int8=quantised.int8,
        golden=[[data.validation.draw(one, None).frame(0)] for one in range(GOLDEN_CROPS)],
        card=model_card(about, words_of(config)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCrops:
    """Inputs of crops as they are, and their defocus, (crops,)."""

    inputs: list[Inputs]
    z_um: NDArray[np.float32]


def held_crops(fields: FieldSamples, count: int) -> HeldCrops:
    """Return every plane of the first `count` fields."""
    stacks = [fields.draw(number, None) for number in range(count)]
    return HeldCrops(
        inputs=[fields.inputs(one, plane) for one in stacks for plane in range(fields.planes)],
        z_um=np.concatenate([one.z_um for one in stacks]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DefocusJudge:
    """Judges the outputs for crops of known defocus, (crops,)."""

    true_um: NDArray[np.float32]
    depth_um: float

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How far int8 may fall below fp32, by measure."""
        return TOLERANCE

    def metrics(self, outputs: Outputs) -> Mapping[str, float]:
        """Return how near the truth they are."""
        return measure(outputs[DEFOCUS][:, 0], self.true_um, depth_um=self.depth_um)

    def decide(self, outputs: Outputs) -> NDArray[Any]:
        """Return which crops are told to be above focus."""
        return side(outputs[DEFOCUS])


def _record(config: FocusConfig, *, scale: float) -> Defocusing:
    optics = config.optics
    return Defocusing(
        range_um=optics.range_um,
        na=optics.na,
        wavelength_um=optics.wavelength_um,
        sine=optics.sine,
        sigma_scale=scale,
    )


def _about(
    config: FocusConfig, record: Defocusing, quantised: Quantised, judged: HeldCrops, *, seed: int
) -> dict[str, Any]:
    takes = DefocusInput(
        pixel_size_um=config.optics.pixel_size_um, side_px=config.side_px, parts=config.inputs
    )
    blind_um = float(np.abs(judged.z_um).mean())
    metrics = {
        precision: {
            **found,
            "mae_um": blind_um - found["gained_um"],
            "tiles": float(len(judged.z_um)),
        }
        for precision, found in quantised.metrics.items()
    }
    metrics["int8"]["agreement"] = quantised.alike / quantised.decisions
    return {
        "name": config.name,
        "version": config.version,
        "task": record.model_dump(mode="json"),
        "networks": {},
        "input": takes.model_dump(mode="json"),
        "golden": {"tolerance": {DEFOCUS: LEAST_TOLERANCE_UM, SPREAD: LEAST_TOLERANCE_UM}},
        "origin": {
            "training": _training(config, seed=seed),
            "quantisation": {
                "kept_fp32": list(quantised.kept),
                "reached": {name: found["gained_um"] for name, found in quantised.metrics.items()},
                "gate": quantised.tolerance["gained_um"],
            },
            "metrics": metrics,
        },
        "budgets_ms": config.budgets_ms,
    }


def _training(config: FocusConfig, *, seed: int) -> dict[str, Any]:
    data = config.data
    # Where there are no folders, textures are all there is.
    share = data.textures if data.train else 1.0
    judged = ("made-up textures of another seed", *map(str, data.validation))
    return {
        "data": ", ".join((f"waves through {share:.0%} made-up textures", *map(str, data.train))),
        "licence": config.licence,
        "split": f"validation: {', '.join(judged)}",
        "seeds": [seed],
    }
