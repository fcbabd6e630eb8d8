"""A new model's trial: what nights say of it, when it is confirmed, and when it goes back.

The night itself knows nothing of this: whoever starts it holds it `under_way`, and afterwards its
journal is read. A run that never said how it ended is found out by its lock and its boot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.appliance.models.counting import good_tiles
from runtime.appliance.models.ledger import (
    IN_USE,
    change,
    clear_slots,
    confirmed,
    locked,
    make_store,
    on_trial,
    rolled_back,
    with_model,
)
from runtime.appliance.models.ratchet import active_version
from runtime.config.settings import ModelsSection, load_settings
from runtime.errors import ConfigRefused, InferenceStalled, ModelRefused, NightscopeError
from runtime.inference.store import ModelSlots, SessionOnTrial, StoreState, read_state
from runtime.instant import Instant
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, is_held

CUT_OFF = 2
"""How often a machine may go down under a model on trial: once is the mains."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of a model: "confirmed" or "rolled back", and why, in words."""

    name: str
    version: str
    what: str
    reason: str

    @property
    def words(self) -> str:
        """Return it as a sentence."""
        return f"model {self.name} {self.version} was {self.what}: {self.reason}"


def confirm(models: ModelsSection, name: str) -> str:
    """Confirm the model that is on trial, and return its version. Raises ModelRefused for none."""
    store = make_store(models.store)

    def work(state: StoreState) -> StoreState:
        on_trial(state.model(name))
        return confirmed(state, name)

    kept = change(store, work).model(name).kept
    assert kept is not None
    return kept.version


def roll_back(models: ModelsSection, name: str, *, reason: str) -> tuple[str, str | None]:
    """Make the version before active again; return what was active and what is, of the store or the
    release, None for nothing. Raises ModelRefused when nothing was installed.
    """
    store = make_store(models.store)
    gone: list[str] = []

    def work(state: StoreState) -> StoreState:
        kept = state.model(name).kept
        if kept is None:
            raise ModelRefused(
                f"model {name!r} was not installed on this device",
                limit=", ".join(n for n, one in state.models.items() if one.kept) or "none was",
                remedy="`nightscope model list` says what is active",
            )
        gone.append(kept.version)
        return rolled_back(state, name, reason=reason)

    state = change(store, work)
    clear_slots(store, state)
    return gone[-1], active_version(name, models, state)


def settle(models: ModelsSection, clock: Clock) -> list[Decision]:
    """Bring every trial up to what is known by now; return what was decided.

    A run that died leaves its session behind: the model goes back, unless the machine went down
    with it, which may happen once. A trial that took longer than it may goes back, too. While a run
    is under way nobody can tell whether another one is dead or only beginning, and of a store
    that may not be written to nothing is decided.
    """
    store = models.store
    if store is None or not os.access(store, os.W_OK):
        return []
    told: list[Decision] = []
    now = clock.instant()

    if all(slots.trial is None for slots in read_state(store).models.values()):
        return []
    with locked(store / IN_USE, wait=False) as alone:

        def work(state: StoreState) -> StoreState:
            for name, slots in state.models.items():
                if alone is not None and slots.trial is not None and slots.kept is not None:
                    state = _settled(state, name, slots, now, told)
            return state

        clear_slots(store, change(store, work))
    return told


def _settled(
    state: StoreState, name: str, slots: ModelSlots, now: Instant, told: list[Decision]
) -> StoreState:
    trial, kept = on_trial(slots), slots.kept
    assert kept is not None
    session = trial.session

    def back(reason: str) -> StoreState:
        told.append(Decision(name=name, version=kept.version, what="rolled back", reason=reason))
        return rolled_back(state, name, reason=reason)

    if session is not None and not is_held(RunFolder(Path(session.run))):
        if session.boot_id == now.boot_id:
            return back(f"the run {session.run} died while it was on trial")
        trial = trial.model_copy(update={"session": None, "cut_off": trial.cut_off + 1})
        if trial.cut_off >= CUT_OFF:
            return back(f"the machine went down {trial.cut_off} times while it was on trial")
        state = with_model(state, name, trial=trial)
    days = (now.wall_s - trial.began.wall_s) / DAY_S
    if session is None and days > trial.days:
        return back(
            f"its trial ended after {trial.days:g} days with {trial.good_tiles} of "
            f"{trial.needs} good tiles"
        )
    return state


@contextmanager
def under_way(folder: RunFolder, clock: Clock, told: list[Decision]) -> Iterator[None]:
    """Hold the store while a run is under way inside, so that no model is installed meanwhile, and
    have its models' trials decided by it: what was decided is added to `told`.

    A device without a store, or whose store cannot be written to, has no trials.
    """
    store, on_it = _store_of(folder), {}
    if store is None:
        yield
        return
    models = _models_of(folder)
    told += settle(models, clock)
    with locked(store / IN_USE, shared=True) as descriptor:
        assert descriptor is not None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(folder.path.resolve()).encode(), 0)
        on_it = _begin(store, folder, clock)
        try:
            yield
        except InferenceStalled as error:
            told += _end(store, folder, on_it, stalled=str(error.what))
            raise
        except (NightscopeError, KeyboardInterrupt):
            told += _end(store, folder, on_it)
            raise
        told += _end(store, folder, on_it)


def _models_of(folder: RunFolder) -> ModelsSection:
    """Return how the settings of a run keep models, outside its own folder."""
    journal = Journal(folder.journal)
    try:
        base = Path(journal.fact("paths_from") or folder.path)
    finally:
        journal.close()
    return load_settings(folder.settings, base=base).models


def _store_of(folder: RunFolder) -> Path | None:
    try:
        return make_store(_models_of(folder).store)
    except ConfigRefused:
        return None


def _sealed(folder: RunFolder) -> set[str]:
    """Return the SHA-256 of every bundle that a run was sealed with."""
    journal = Journal(folder.journal)
    try:
        return {str(one["sha256"]) for one in (journal.fact("bundles") or {}).values()}
    finally:
        journal.close()


def _begin(store: Path, folder: RunFolder, clock: Clock) -> dict[str, str]:
    """Note the run in the trial of every model it was sealed with; return their digests by name."""
    sealed = _sealed(folder)
    session = SessionOnTrial(run=str(folder.path.resolve()), boot_id=clock.instant().boot_id)
    on_it: dict[str, str] = {}

    def work(state: StoreState) -> StoreState:
        for name, slots in state.models.items():
            if slots.trial is not None and slots.kept is not None and slots.kept.sha256 in sealed:
                on_it[name] = slots.kept.digest
                trial = slots.trial.model_copy(update={"session": session})
                state = with_model(state, name, trial=trial)
        return state

    if any(slots.trial is not None for slots in read_state(store).models.values()):
        change(store, work)
    return on_it


def _end(
    store: Path, folder: RunFolder, on_it: dict[str, str], *, stalled: str = ""
) -> list[Decision]:
    """Count what the run says of the models on trial in it; return what that decided."""
    told: list[Decision] = []

    def work(state: StoreState) -> StoreState:
        for name, digest in on_it.items():
            slots = state.model(name)
            if slots.trial is not None and slots.kept is not None and slots.kept.digest == digest:
                state = _judged(state, name, folder, told, stalled=stalled)
        return state

    if on_it:
        clear_slots(store, change(store, work))
    return told


def _judged(
    state: StoreState, name: str, folder: RunFolder, told: list[Decision], *, stalled: str
) -> StoreState:
    slots = state.model(name)
    trial, kept = on_trial(slots), slots.kept
    assert kept is not None
    if stalled:
        told.append(Decision(name=name, version=kept.version, what="rolled back", reason=stalled))
        return rolled_back(state, name, reason=stalled)
    good = trial.good
    with suppress(NightscopeError):  # a journal that cannot be read vouches for nothing
        good = {**good, str(folder.path.resolve()): good_tiles(folder, kept.task)}
    trial = trial.model_copy(update={"session": None, "good": good})
    state = with_model(state, name, trial=trial)
    if trial.good_tiles < trial.needs:
        return state
    reason = f"{trial.good_tiles} good tiles"
    told.append(Decision(name=name, version=kept.version, what="confirmed", reason=reason))
    return confirmed(state, name)
