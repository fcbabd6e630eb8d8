"""How models are kept on this device, for verbs that are given no settings."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.config.settings import ModelsSection, load_settings

SETTINGS = "NIGHTSCOPE_SETTINGS"


def models_here(settings: Path | None = None) -> ModelsSection:
    """Return `[models]` of a settings file, else of the one that NIGHTSCOPE_SETTINGS names, else
    what holds without any. So all verbs of a device share one store.

    Raises ConfigRefused for a file that is missing or cannot be used.
    """
    named = settings or os.environ.get(SETTINGS)
    return load_settings(Path(named)).models if named else ModelsSection()


def pixel_sizes_um(settings: Path | None = None) -> tuple[float, ...]:
    """Return the pixel size of every objective that the same settings have, none without settings.

    Raises as `models_here` does.
    """
    named = settings or os.environ.get(SETTINGS)
    if not named:
        return ()
    return tuple(one.pixel_size_um for one in load_settings(Path(named)).objectives.values())
