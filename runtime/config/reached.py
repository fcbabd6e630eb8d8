"""Where the devices of an instrument are reached: all that may be corrected under way."""

from __future__ import annotations

from runtime.config.settings import Settings
from runtime.errors import ConfigRefused

PLUGS = (("stage", "port"), ("light", "port"), ("turret", "port"), ("camera", "device"))
"""Section and key: a plug that went elsewhere is still the same device."""


def plugs_of(settings: Settings) -> dict[str, str]:
    """Return where each device is reached, by "section.key"."""
    found = {
        f"{section}.{key}": getattr(getattr(settings, section), key, None) for section, key in PLUGS
    }
    return {name: str(plug) for name, plug in found.items() if plug is not None}


def with_plugs(settings: Settings, plugs: dict[str, str]) -> Settings:
    """Return settings whose devices are reached elsewhere; the others stay where they are."""
    for name, plug in plugs.items():
        section, key = name.split(".")
        if hasattr(port := getattr(settings, section), key):
            settings = settings.model_copy(update={section: port.model_copy(update={key: plug})})
    return settings


def corrected_plugs(began: Settings, now: Settings) -> dict[str, str]:
    """Return where `now` reaches the devices of the settings that a run began with.

    Raises ConfigRefused, naming the section, when anything else differs.
    """
    plugs = plugs_of(now)
    wanted, given = (one.model_dump(mode="json") for one in (with_plugs(began, plugs), now))
    for section, values in wanted.items():
        if values != given[section]:
            raise ConfigRefused(
                "the settings are not those the run began with",
                value=f"[{section}] differs",
                limit="only where devices are reached: " + ", ".join(f"{s}.{k}" for s, k in PLUGS),
                remedy="correct only that, or start a new run",
            )
    return plugs
