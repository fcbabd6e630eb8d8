"""Whether a bundle may come at all: by version, by what was revoked, by the pixel size."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused
from runtime.inference.bundle import VERSIONED
from runtime.inference.manifest import Manifest
from runtime.inference.store import ModelSlots, StoreState, numbers

NONE = "0.0.0"
NEWER = "pack it with a higher version: versions only go up"


def is_active(manifest: Manifest, digest: str, state: StoreState) -> bool:
    """Return whether this very bundle is the active one already."""
    kept = state.model(manifest.name).kept
    return kept is not None and kept.digest == digest


def check_version(
    manifest: Manifest, digest: str, *, state: StoreState, models: ModelsSection, again: bool
) -> None:
    """Raise ModelRefused for a bundle that is older than what was confirmed here or ships with the
    release, that replays or doubles a version, that was revoked, or that was rolled back, unless
    it is to be tried `again`; and for any while another version of the model is on trial.
    """
    name, slots = manifest.name, state.model(manifest.name)
    about = f"bundle {name} {manifest.version}"
    if digest in state.revoked_bundles:
        raise ModelRefused(
            f"{about} was revoked on this device: {state.revoked_bundles[digest]}", remedy=NEWER
        )
    if slots.trial is not None and slots.kept is not None:
        raise ModelRefused(
            f"{about} cannot come while version {slots.kept.version} is on trial",
            value=f"{slots.trial.good_tiles} good tiles",
            limit=f"{slots.trial.needs} tiles",
            remedy=f"`nightscope model confirm {name}` it, or `nightscope model rollback {name}`",
        )
    if digest in slots.rolled_back and not again:
        raise ModelRefused(
            f"{about} was rolled back on this device: {slots.rolled_back[digest]}",
            remedy="install a newer version, or this one once more with --again",
        )
    _check_ratchet(about, manifest, slots, models, again=again and digest in slots.rolled_back)


def _check_ratchet(
    about: str, manifest: Manifest, slots: ModelSlots, models: ModelsSection, *, again: bool
) -> None:
    ships = _shipped(manifest.name, models)
    least = max(slots.highest, ships, key=numbers)
    mine, limit = numbers(manifest.version), numbers(least)
    if mine < limit:
        raise ModelRefused(
            f"{about} is older than what this device had",
            value=manifest.version,
            limit=f"{least}, {'of the release' if least == ships else 'confirmed here'}",
            remedy=NEWER,
        )
    if mine == limit and not again:
        raise ModelRefused(
            f"{about} has a version that this device had already",
            value=manifest.version,
            limit=f"higher than {least}",
            remedy=NEWER,
        )


def active_version(name: str, models: ModelsSection, state: StoreState) -> str | None:
    """Return which version of a model a name means: of the store or the release, None for none."""
    kept, ships = state.model(name).kept, _shipped(name, models)
    versions = [ships] if kept is None else [ships, kept.version]
    newest = max(versions, key=numbers)
    return None if newest == NONE else newest


def _shipped(name: str, models: ModelsSection) -> str:
    """Return the highest version of a model that comes with the release, "0.0.0" for none."""
    found = (VERSIONED.fullmatch(path.stem) for path in models.folder.glob("*.nsb"))
    versions = [one["version"] for one in found if one is not None and one["name"] == name]
    return max(versions, key=numbers, default=NONE)


def check_pixel_sizes(manifest: Manifest, pixel_sizes_um: Sequence[float]) -> None:
    """Raise ModelRefused for a model of which no objective of the instrument has the pixel size."""
    wanted = manifest.input.pixel_size_um
    if wanted is None or not pixel_sizes_um:
        return
    if not any(wanted[0] <= size_um <= wanted[1] for size_um in pixel_sizes_um):
        raise ModelRefused(
            f"bundle {manifest.name} {manifest.version} is for another instrument's pixel size",
            value=f"{', '.join(f'{size:g}' for size in pixel_sizes_um)} µm here",
            limit=f"{wanted[0]:g} to {wanted[1]:g} µm",
            remedy="install a model that was made for one of this instrument's objectives",
        )
