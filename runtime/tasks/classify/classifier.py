"""The classifier: one verified model, one label per picture."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from runtime.errors import InputRefused, ModelRefused, NightscopeError
from runtime.inference.opening import Model, open_model
from runtime.inference.session import Choice
from runtime.inference.signature import Keyring
from runtime.inference.task import Records, Work
from runtime.inference.view_input import ViewInput
from runtime.inference.windows import view_slices, windows
from runtime.preprocess.inputs import Inputs, Sampled, assemble, sample
from runtime.tasks.classify.guard import UNGUARDED, Evidence, Guard
from runtime.tasks.classify.record import SCORES, Classification
from runtime.tile import Label, Picture, Pixels

ONLY: Records = {"classify": Classification}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPicture:
    """A picture ready to be classified: the networks' inputs for each of its views, and what the
    guard saw of each, nothing for a model without one.
    """

    views: tuple[Inputs, ...]
    evidence: tuple[Evidence, ...]


class TileClassifier:
    """Labels tiles with the model of one bundle; only `prepare` may run on several threads.

    `classes` are in the order of the scores, `choice` is how the network runs, `guard` what says
    whether to trust a label, None for a model without one.
    """

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        self._manifest = model.bundle.manifest
        self._session = model.session
        self._input = model.bundle.input(ViewInput)
        self._spec, self._lut = self._input.spec, self._input.table(model.bundle.array)
        self.guard = Guard.of(model.bundle)
        self._threads = threads
        self.classes = model.bundle.task(Classification).classes
        self.choice = model.choice

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: Path | Keyring,
        backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
        threads: int = 1,
        cache: Path | None = None,
        choice: Choice | None = None,
    ) -> TileClassifier:
        """Return the classifier of a bundle; arguments and refusals are those of `open_model`."""
        model = open_model(
            path,
            keys=keys,
            tasks=ONLY,
            backend=backend,
            threads=threads,
            cache=cache,
            choice=choice,
        )
        return cls(model, threads=threads)

    def guarded(self, guard: Guard) -> TileClassifier:
        """Return the same classifier with another guard."""
        other = copy(self)
        other.guard = guard
        return other

    @property
    def work(self) -> Work[PreparedPicture, Label]:
        """Return what the classifier does, as any task's model does it."""
        return Work(prepare=lambda pictures: self.prepare(*pictures), answer=self.judge)

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._manifest.name

    @property
    def version(self) -> str:
        """Return the model's version, "major.minor.patch"."""
        return self._manifest.version

    @property
    def budgets(self) -> dict[str, float]:
        """Return the bundle's p99 budgets in milliseconds by stage."""
        return dict(self._manifest.budgets_ms)

    @property
    def pixel_size_um(self) -> float:
        """Return the middle of the pixel sizes the model was trained for."""
        return self._input.middle_um

    def check_pixel_size(self, *, pixel_size_um: float) -> None:
        """Raise ModelRefused when the model was not trained for this pixel size."""
        lowest, highest = self._input.pixel_size_um
        if not lowest <= pixel_size_um <= highest:
            raise ModelRefused(
                f"model {self.name} {self.version} was not trained for this pixel size",
                value=f"{pixel_size_um:g} µm",
                limit=f"{lowest:g} to {highest:g} µm",
                remedy="scan with another objective, or choose a model trained for this one",
            )

    def check_frame(self, *, shape_px: tuple[int, int], pixel_size_um: float) -> None:
        """Raise ModelRefused when frames of that (height, width) are of another pixel size than the
        model was trained for, or show less than its field.
        """
        self.check_pixel_size(pixel_size_um=pixel_size_um)
        if not view_slices(shape_px, self._input.field.sides_px(pixel_size_um=pixel_size_um)):
            raise self._too_little(ModelRefused, shape_px, pixel_size_um)

    def classify(self, picture: Picture, *, raw: Pixels | None = None) -> Label:
        """Return the most probable class with every class's score, which sum to 1, and whether to
        trust it.

        A picture showing more than the trained field is read as evenly spaced windows of it, whose
        scores are averaged. `raw` is its pixels before flat-field correction, in which alone
        saturation can be seen; None when there was none. Raises ModelRefused for the pixel size and
        InputRefused for a picture showing less than the trained field.
        """
        return self.judge(self.prepare(picture, raw=raw))

    def prepare(self, picture: Picture, *, raw: Pixels | None = None) -> PreparedPicture:
        """Return what the networks will see of a picture; on any thread, while another picture is
        judged.

        Raises like `classify`.
        """
        self.check_pixel_size(pixel_size_um=picture.pixel_size_um)
        views = windows(picture, field=self._input.field)
        if not views:
            raise self._too_little(InputRefused, picture.shape_px, picture.pixel_size_um)
        guarded = self.guard is not None
        sampled = [
            sample(view, self._spec, threads=self._threads, counted=guarded) for view in views
        ]
        raw_views = (
            views if raw is None else windows(replace(picture, pixels=raw), field=self._input.field)
        )
        return PreparedPicture(
            views=tuple(assemble(one, self._spec, self._lut) for one in sampled),
            evidence=self._evidence(views, sampled, raw_views),
        )

    def _evidence(
        self, views: list[Pixels], sampled: list[Sampled], raw_views: list[Pixels]
    ) -> tuple[Evidence, ...]:
        if self.guard is None:
            return ()
        looks = zip(views, sampled, raw_views, strict=True)
        return tuple(self.guard.look(v, s, raw=r) for v, s, r in looks)

    def judge(self, prepared: PreparedPicture) -> Label:
        """Return the label of a prepared picture."""
        scores = np.mean([self._session.run(one)[SCORES][0] for one in prepared.views], axis=0)
        best = int(np.argmax(scores))
        verdict = UNGUARDED
        if self.guard is not None:
            verdict = self.guard.judge(list(prepared.evidence), score=float(scores[best]))
        return Label(
            name=self.classes[best],
            score=float(scores[best]),
            scores={name: float(s) for name, s in zip(self.classes, scores, strict=True)},
            model=f"{self.name} {self.version}",
            strangeness=verdict.strangeness,
            doubt=verdict.doubt,
            doubt_about=verdict.about,
        )

    def _too_little(
        self, refusal: type[NightscopeError], shape_px: tuple[int, int], pixel_size_um: float
    ) -> NightscopeError:
        height, width = (side * pixel_size_um for side in shape_px)
        sides = self._input.field.sides_px(pixel_size_um=pixel_size_um)
        least = [side * pixel_size_um for side in sides]
        return refusal(
            f"the image shows less than model {self.name} was trained on",
            value=f"{width:.0f} x {height:.0f} µm",
            limit=f"{least[1]:.0f} x {least[0]:.0f} µm",
            remedy="classify whole camera frames",
        )
