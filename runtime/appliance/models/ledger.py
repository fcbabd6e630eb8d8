"""Changes to the store: one at a time, each written in one rename, so that it counts whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import ConfigRefused, ModelRefused
from runtime.inference.store import (
    SLOTS,
    STATE,
    ModelSlots,
    OnTrial,
    StoreState,
    numbers,
    read_state,
    state_bytes,
)
from runtime.record.storage import make_folder, sweep_parts, sync_folder, write_durably

CHANGING, IN_USE, INSTALLING = ".changing", ".in-use", ".installing"
STORE_HINT = "name one that can be written to: store in [models], or NIGHTSCOPE_STORE"


def make_store(store: Path | None) -> Path:
    """Return the folder of the store, made if need be, to stay after a power cut.

    Raises ConfigRefused where there is none, or cannot be.
    """
    if store is None:
        raise ConfigRefused("this device has no store of models", remedy=STORE_HINT)
    try:
        make_folder(store)
    except ConfigRefused as error:
        raise ConfigRefused(f"store of models: {error.what}", remedy=STORE_HINT) from None
    if not os.access(store, os.W_OK | os.X_OK):
        raise ConfigRefused(f"store of models {store} may not be written to", remedy=STORE_HINT)
    return store


def make_inside(folder: Path) -> None:
    """Make a folder inside the store, to stay after a power cut. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int | None]:
    """Hold a lock while inside; yield its descriptor, None when it is held and we do not wait.

    The kernel lets go for a process that dies.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def change(store: Path, work: Callable[[StoreState], StoreState]) -> StoreState:
    """Return the store's state after `work` changed it, durably; one changes it at a time."""
    with locked(store / CHANGING):
        before = read_state(store)
        after = work(before)
        if after != before:
            sweep_parts(store)
            write_durably(store / STATE, state_bytes(after))
        return after


def with_model(state: StoreState, name: str, **changes: Any) -> StoreState:
    """Return the state with some of what it says of a model changed."""
    slots = state.model(name).model_copy(update=changes)
    return state.model_copy(update={"models": {**state.models, name: slots}})


def confirmed(state: StoreState, name: str) -> StoreState:
    """Return the state with the active bundle of a model confirmed: the ratchet rises to it."""
    slots = state.model(name)
    if slots.kept is None:
        return state
    highest = max(slots.highest, slots.kept.version, key=numbers)
    return with_model(state, name, trial=None, highest=highest)


def rolled_back(state: StoreState, name: str, *, reason: str) -> StoreState:
    """Return the state with the version before active, and the one that was noted, with the
    reason: it does not come again by itself. The ratchet stays where it is.
    """
    slots = state.model(name)
    kept, active = slots.kept, slots.active
    if kept is None or active is None:
        return state
    others = {slot: bundle for slot, bundle in slots.slots.items() if slot != active}
    before = next(
        (slot for slot, bundle in others.items() if _believed(state, bundle.key, bundle.digest)),
        None,
    )
    return with_model(
        state,
        name,
        slots=others,
        active=before,
        trial=None,
        rolled_back={**slots.rolled_back, kept.digest: reason},
    )


def _believed(state: StoreState, key: str, digest: str) -> bool:
    return key not in state.revoked_keys and digest not in state.revoked_bundles


def without_disbelieved(state: StoreState, *, reason: str) -> StoreState:
    """Return the state with every active bundle rolled back whose key or digest is revoked."""
    for name, slots in state.models.items():
        kept = slots.kept
        if kept is not None and not _believed(state, kept.key, kept.digest):
            state = rolled_back(state, name, reason=reason)
    return state


def on_trial(slots: ModelSlots) -> OnTrial:
    """Return the trial of a model. Raises ModelRefused when it is on none."""
    if slots.trial is None:
        raise ModelRefused(
            "the model is not on trial", remedy="`nightscope model list` says what is active"
        )
    return slots.trial


def clear_slots(store: Path, state: StoreState) -> None:
    """Remove what lies in slots that the state does not know: left by a crash, or rolled back."""
    root = store / SLOTS
    for folder in sorted(root.glob("*/*")) if root.is_dir() else []:
        known: Mapping[Any, Any] = state.model(folder.parent.name).slots
        if folder.name not in known:
            shutil.rmtree(folder)
            sync_folder(folder.parent)
