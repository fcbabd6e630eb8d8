"""The one way a model gets onto a device: for a file, a pipe, ssh and the service alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime.appliance.models.examination import Examine, Examined, examine
from runtime.appliance.models.head import BundleHead
from runtime.appliance.models.incoming import (
    Expected,
    Progress,
    TransferBroken,
    arrived,
    nobody,
    part_of,
    receive,
)
from runtime.appliance.models.ledger import (
    IN_USE,
    INSTALLING,
    change,
    clear_slots,
    locked,
    make_inside,
    make_store,
    rolled_back,
    with_model,
)
from runtime.appliance.models.ratchet import (
    active_version,
    check_pixel_sizes,
    check_version,
    is_active,
)
from runtime.appliance.models.trials import settle
from runtime.config.settings import ModelsSection
from runtime.errors import (
    DiskFull,
    ModelRefused,
    ModelRolledBack,
    NightscopeError,
    StorageFailed,
)
from runtime.inference.manifest import Manifest, parse_manifest
from runtime.inference.shelf import shelf_of
from runtime.inference.signature import check_signature
from runtime.inference.store import (
    INCOMING,
    KeptBundle,
    OnTrial,
    Slot,
    StoreState,
    read_state,
    slot_file,
)
from runtime.ports import Clock
from runtime.record.storage import hash_of, sync_folder
from runtime.record.trouble import trouble_is_told
from runtime.tasks.registry import RECORDS

ARRIVING = "that arrives"
STEPS = ("receiving", "trying it out", "switching")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an installation did: the model that is active now, on trial for `trial_tiles` good
    tiles; `before` is the version that was active, of the store or the release, None for none.
    `changed` is False for a bundle that was active already. `unchecked` says in words what could
    not be looked at.
    """

    name: str
    version: str
    digest: str
    before: str | None
    runs_as: str
    p99_ms: float
    trial_tiles: int
    changed: bool = True
    unchecked: str = ""


def install(
    stream: BinaryIO,
    *,
    models: ModelsSection,
    clock: Clock,
    pixel_sizes_um: Sequence[float] = (),
    expected: Expected | None = None,
    again: bool = False,
    called: str = ARRIVING,
    progress: Progress = nobody,
    say: Say = nobody,
    examine: Examine = examine,
) -> Installed:
    """Take a bundle from a stream into the store and make it active, on trial; return what was
    done.

    `expected` says which file it is and how long, which lets a transfer that broke go on: then the
    stream begins at `already(...)`. `pixel_sizes_um` are those of the instrument's objectives;
    without any, the model's is not checked. `again` takes one that was rolled back before. A
    refusal names the bundle as it is `called`.
    `progress` is told how many bytes have come, `say` which of `STEPS` begins.

    Raises ModelRefused (exit code 6) for a bundle that may not come, `TransferBroken` among it,
    ModelRolledBack (8) for one that failed once it was active, DiskFull and StorageFailed (7), and
    ConfigRefused (3) where no store can be. Whatever it raises, and whenever the process dies, the
    model before is active, as it was.
    """
    store = make_store(models.store)
    with _disk_is_told(), locked(store / INSTALLING, wait=False) as alone:
        if alone is None:
            raise ModelRefused(
                "another model is being installed", remedy="wait until that has ended"
            )
        settle(models, clock)
        part = _begin(store, expected)
        door = _Door(models, tuple(pixel_sizes_um), again, called)
        with _no_run(store):
            pass  # a gigabyte is not taken to be refused at its end
        try:
            say(STEPS[0])
            sha256 = receive(stream, part, expected=expected, admit=door.admit, progress=progress)
            if door.active:
                return _nothing_new(store, door, part)
            return _proven(part, sha256, store, door, clock=clock, say=say, examine=examine)
        except TransferBroken:
            raise
        except BaseException:
            with suppress(OSError):  # what is said is why, not that nothing could be cleared away
                part.unlink(missing_ok=True)
            raise


def already(expected: Expected, models: ModelsSection) -> int:
    """Return how many bytes of a transfer that broke are here, so that it can go on from there."""
    store = make_store(models.store)
    return min(arrived(part_of(store / INCOMING, expected)), expected.size)


@dataclass(slots=True)
class _Door:
    """Who may come in, by the signed manifest; `active` afterwards: it is the active one."""

    models: ModelsSection
    pixel_sizes_um: tuple[float, ...]
    again: bool
    called: str
    manifest: Manifest | None = None
    active: bool = False

    def admit(self, head: BundleHead) -> Manifest:
        """Return the manifest of a bundle that may come; raises ModelRefused for any other."""
        shelf = shelf_of(self.models)
        check_signature(head.manifest, head.signature, keys=shelf.keyring, bundle=self.called)
        manifest = parse_manifest(head.manifest, bundle=self.called, tasks=RECORDS)
        digest = hashlib.sha256(head.manifest).hexdigest()
        self.manifest, self.active = manifest, is_active(manifest, digest, shelf.state)
        if not self.active:
            self.check(manifest, digest, shelf.state)
        check_pixel_sizes(manifest, self.pixel_sizes_um)
        return manifest

    def check(self, manifest: Manifest, digest: str, state: StoreState) -> None:
        """Raise ModelRefused for a version that may not come."""
        check_version(manifest, digest, state=state, models=self.models, again=self.again)

    @property
    def unchecked(self) -> str:
        """Return in words what could not be looked at."""
        shown = self.manifest is not None and self.manifest.input.pixel_size_um is not None
        if not shown or self.pixel_sizes_um:
            return ""
        return "the pixel size: no settings say which objectives this instrument has"


def _begin(store: Path, expected: Expected | None) -> Path:
    """Return where the transfer is written, with what a crash left out of the way."""
    incoming = store / INCOMING
    make_inside(incoming)
    part = part_of(incoming, expected)
    for left in incoming.iterdir():
        if left != part or expected is None or arrived(left) > expected.size:
            left.unlink()
    clear_slots(store, read_state(store))
    return part


@contextmanager
def _no_run(store: Path) -> Iterator[None]:
    """Keep runs from beginning while inside. Raises ModelRefused when one is under way."""
    with locked(store / IN_USE, wait=False) as alone:
        if alone is None:
            run = (store / IN_USE).read_text(encoding="utf-8", errors="replace").strip()
            raise ModelRefused(
                "no model is installed while a run is under way",
                value=run or "a run",
                remedy="wait until it has ended, or stop it: `nightscope resume` goes on later",
            )
        yield


def _nothing_new(store: Path, door: _Door, part: Path) -> Installed:
    part.unlink()
    assert door.manifest is not None
    name = door.manifest.name
    slots = read_state(store).model(name)
    assert slots.kept is not None
    return Installed(
        name=name,
        version=slots.kept.version,
        digest=slots.kept.digest,
        before=slots.kept.version,
        runs_as=slots.kept.runs_as,
        p99_ms=slots.kept.p99_ms,
        trial_tiles=0 if slots.trial is None else slots.trial.needs - slots.trial.good_tiles,
        changed=False,
    )


def _proven(
    part: Path,
    sha256: str,
    store: Path,
    door: _Door,
    *,
    clock: Clock,
    say: Say,
    examine: Examine,
) -> Installed:
    """Try the bundle out, put it into the inactive slot, and switch."""
    models = door.models
    with _no_run(store):
        say(STEPS[1])
        found = examine(part, models=models)
        say(STEPS[2])
        kept = KeptBundle(
            version=found.version,
            digest=found.digest,
            sha256=sha256,
            signed_by=found.signed_by,
            key=found.key,
            task=found.task,
            installed=clock.instant(),
            runs_as=found.runs_as,
            p99_ms=found.p99_ms,
        )
        before = active_version(found.name, models, read_state(store))
        _switch(part, store, door, found, kept)
        _look_back(store, found.name, sha256)
    return Installed(
        name=found.name,
        version=found.version,
        digest=found.digest,
        before=before,
        runs_as=found.runs_as,
        p99_ms=found.p99_ms,
        trial_tiles=models.trial_tiles,
        unchecked=door.unchecked,
    )


def _switch(part: Path, store: Path, door: _Door, found: Examined, kept: KeptBundle) -> None:
    """Put a bundle into the inactive slot, durably, and make that the active one, in one rename.

    First the slot is given up in the state: at no moment does that name a file that is not there.
    """
    name, models = found.name, door.models
    assert door.manifest is not None

    def give_up(state: StoreState) -> StoreState:
        assert door.manifest is not None
        door.check(door.manifest, kept.digest, state)  # another may have come meanwhile
        slots = state.model(name)
        others = {slot: one for slot, one in slots.slots.items() if slot != slots.inactive}
        return with_model(state, name, slots=others)

    state = change(store, give_up)
    slot: Slot = state.model(name).inactive
    clear_slots(store, state)
    file = slot_file(store, name, slot, kept)
    make_inside(file.parent)
    part.rename(file)
    sync_folder(file.parent)
    sync_folder(part.parent)
    trial = OnTrial(began=kept.installed, needs=models.trial_tiles, days=models.trial_days)

    def take(state: StoreState) -> StoreState:
        slots = state.model(name)
        gone = {digest: why for digest, why in slots.rolled_back.items() if digest != kept.digest}
        return with_model(
            state,
            name,
            slots={**slots.slots, slot: kept},
            active=slot,
            trial=trial,
            rolled_back=gone,
        )

    change(store, take)


def _look_back(store: Path, name: str, sha256: str) -> None:
    """Read the active bundle as the disk has it now; what differs is rolled back."""
    slots = read_state(store).model(name)
    assert slots.active is not None
    assert slots.kept is not None
    file = slot_file(store, name, slots.active, slots.kept)
    try:
        found = hash_of(file)
    except OSError as error:
        found = str(error.strerror)
    if found == sha256:
        return
    reason = "the disk did not keep it as it was written"
    clear_slots(store, change(store, lambda state: rolled_back(state, name, reason=reason)))
    raise ModelRolledBack(
        f"model {name} {slots.kept.version} was rolled back: {reason}",
        value=f"SHA-256 {found[:16]}",
        limit=sha256[:16],
        remedy="check the disk, then install it with --again",
    )


@contextmanager
def _disk_is_told() -> Iterator[None]:
    """Say of a disk that is full or fails what that means here."""
    try:
        with trouble_is_told("installing a model"):
            yield
    except (DiskFull, StorageFailed) as error:
        cure = "free space" if isinstance(error, DiskFull) else "check disk and permissions"
        raise _told(error, f"{cure}, and install it again; the model before is active") from error


def _told(error: NightscopeError, remedy: str) -> NightscopeError:
    return type(error)(error.what, value=error.value, limit=error.limit, remedy=remedy)
