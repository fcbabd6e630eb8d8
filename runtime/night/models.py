"""The models of a run: those it was sealed with, on the back end it began with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.calibrated.record import CalibrationRecord
from runtime.config.plan import Plan
from runtime.config.settings import Settings
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

if TYPE_CHECKING:
    from runtime.tasks.classify.classifier import TileClassifier
    from runtime.tasks.focus.regressor import DefocusRegressor
    from runtime.tasks.match.finder import StripFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModels:
    """A run's classifier, its network for overlaps that nothing else can match, and that for
    defocus; None for one that it began without.
    """

    classifier: TileClassifier | None
    finder: StripFinder | None
    regressor: DefocusRegressor | None

    def guarded(self, record: CalibrationRecord | None, *, folder: Path) -> RunModels:
        """Return the models with the classifier's guard as this instrument calibrated it, if it
        did; the record's arrays lie in `folder`.

        Raises CalibrationRefused for a record of another model.
        """
        if record is None or self.classifier is None:
            return self
        from runtime.tasks.classify.calibrated_guard import guarded

        return replace(self, classifier=guarded(self.classifier, record, folder=folder))


def models_of(folder: RunFolder, journal: Journal, plan: Plan, settings: Settings) -> RunModels:
    """Return the models of a run.

    Scores must not change under way: back end and precision are those of its first session. Raises
    ModelRefused when a bundle is not the one the run began with.
    """
    began_with = journal.fact("model") or {}
    classifier = open_classifier(
        plan,
        settings,
        bundle=folder.bundle(journal, "classify"),
        choice=began_with.get("choice"),
    )
    if classifier is not None:
        about = {"name": classifier.name, "version": classifier.version}
        journal.note(model=about | {"choice": asdict(classifier.choice)})
    return RunModels(
        classifier=classifier,
        finder=_finder(settings, folder.bundle(journal, "match")),
        regressor=_regressor(settings, folder.bundle(journal, "focus")),
    )


def open_classifier(
    plan: Plan,
    settings: Settings,
    *,
    bundle: Path | None = None,
    choice: dict[str, Any] | None = None,
) -> TileClassifier | None:
    """Return the plan's model, verified and ready, or None for a plan without one.

    `bundle` is its file, `choice` back end and precision, both of which a run keeps to; without,
    they are looked for as the settings say.
    """
    if plan.model is None:
        return None
    from runtime.inference.session import Choice
    from runtime.inference.shelf import shelf_of
    from runtime.tasks.classify.classifier import TileClassifier

    models = settings.models
    shelf = shelf_of(models)
    return TileClassifier.open(
        shelf.find(plan.model) if bundle is None else bundle,
        keys=shelf.keyring,
        backend=models.backend,
        threads=models.threads,
        cache=models.cache,
        choice=None if choice is None else Choice(**choice),
    )


def _finder(settings: Settings, bundle: Path | None) -> StripFinder | None:
    if bundle is None:
        return None
    from runtime.tasks.match.finder import StripFinder

    return StripFinder(settings.models, str(bundle))


def _regressor(settings: Settings, bundle: Path | None) -> DefocusRegressor | None:
    if bundle is None:
        return None
    from runtime.tasks.focus.finder import regressor_of

    return regressor_of(settings.models, str(bundle))
