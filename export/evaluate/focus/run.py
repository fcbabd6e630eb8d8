"""Train networks for defocus, or take up their trainings, and judge them on the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from export.bundle.artefacts import Artefacts
from export.datasets.defocus.frames import KnownFrame, known_frames
from export.evaluate.focus.results import DENSE, EVERY, DefocusRow, FocusResults
from export.evaluate.focus.score import BEYOND, SPARSE, FrameAnswer, asked, score
from export.evaluate.focus.table import markdown
from export.progress import Progress, silent
from export.tasks.focus.build import build
from export.tasks.focus.config import FocusConfig, read_focus_config
from export.tasks.focus.data import read_fields
from export.tasks.focus.sigma import UnpackedRegressor
from runtime.errors import ConfigRefused
from runtime.tasks.focus.record import Defocusing

# Neither that of validation, which σ was fitted on, nor one of a training.
TEST_SEED = 1_000_003
FRAMES = 40
TABLE = "table.md"


def evaluate(
    configs: Sequence[Path],
    folder: Path | None,
    *,
    out: Path,
    seeds: int,
    epochs: int | None = None,
    threads: int = 1,
    frames: int = FRAMES,
    progress: Progress = silent,
) -> FocusResults:
    """Return the scores of every configuration and seed, in fp32 and int8, on `frames` frames of
    each kind, dense and sparse, of the specimens for validation, and on as many beyond the range.

    Table and numbers in `out` are complete after each. Trainings in `out` are taken up where they
    are. Raises ConfigRefused for configurations whose frames are not the same.
    """
    read = [_changed(read_focus_config(path), epochs, threads) for path in configs]
    _check_comparable(read, configs)
    out.mkdir(parents=True, exist_ok=True)
    scenery = read_fields(read[0], folder, seed=0).validation.scenery
    shown = [
        one
        for beyond in (False, True)
        for one in known_frames(scenery, frames, seed=TEST_SEED, beyond=beyond)
    ]
    rows: list[DefocusRow] = []
    results = FocusResults(settings={}, rows=())
    for seed in range(seeds):
        for config in read:
            data = read_fields(config, folder, seed=seed)
            made = build(config, data, seed=seed, out=out / f"seed{seed}", progress=progress)
            rows += _rows(config, made, shown, seed=seed)
            results = FocusResults(settings=_in_words(read[0], frames), rows=tuple(rows))
            results.write(out)
            (out / TABLE).write_text(markdown(results), encoding="utf-8")
    return results


def _rows(
    config: FocusConfig, made: Artefacts, frames: Sequence[KnownFrame], *, seed: int
) -> Iterator[DefocusRow]:
    record = made.task
    assert isinstance(record, Defocusing)
    for precision, model in (("fp32", made.fp32), ("int8", made.int8)):
        assert model is not None
        reader = UnpackedRegressor.of(model, record, side_px=config.side_px, parts=config.inputs)
        for group, answers in _groups(asked(reader, frames)):
            yield DefocusRow(
                seed=seed,
                inputs="+".join(config.inputs),
                precision=precision,
                group=group,
                model_bytes=len(model),
                score=score(answers, depth_um=config.optics.depth_of_field_um),
            )


def _groups(answers: list[FrameAnswer]) -> Iterator[tuple[str, list[FrameAnswer]]]:
    yield EVERY, answers
    yield DENSE, [one for one in answers if not one.group.startswith((SPARSE, BEYOND))]
    for group in dict.fromkeys(one.group for one in answers):
        yield group, [one for one in answers if one.group == group]


def _changed(config: FocusConfig, epochs: int | None, threads: int) -> FocusConfig:
    changes = {"threads": threads} | ({} if epochs is None else {"epochs": epochs})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update=changes)})


def _check_comparable(read: Sequence[FocusConfig], paths: Sequence[Path]) -> None:
    for config, path in zip(read, paths, strict=True):
        for key in ("optics", "data"):
            if getattr(config, key) != getattr(read[0], key):
                raise ConfigRefused(
                    f"{path} and {paths[0]} differ in '{key}': they cannot share a table",
                    remedy="evaluate them into two folders",
                )
    labels = [config.inputs for config in read]
    if len(set(labels)) < len(labels):
        raise ConfigRefused(
            "two configurations have the same inputs",
            value="; ".join("+".join(one) for one in labels),
            remedy="evaluate them into two folders",
        )


def _in_words(config: FocusConfig, frames: int) -> dict[str, str]:
    optics, data, recipe = config.optics, config.data, config.recipe
    crops = data.fields * data.planes * recipe.epochs
    return {
        "frames": f"{frames} of each kind, and as many sparse ones, of {_names(data.validation)}; "
        "as many again up to twice as far as the range",
        "trained on": f"{crops} crops of {config.side_px} px of {_names(data.train)}",
        "range": f"±{optics.range_um:g} µm",
        "depth of field": f"{optics.depth_of_field_um:.1f} µm",
    }


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders)) or "made-up textures"
