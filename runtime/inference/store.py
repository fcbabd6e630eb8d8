"""The device's store of installed models, as its one state file tells it; only read here.

Two slots a model: one is active, the other keeps the version before, or nothing. All that decides
what runs, slots, trial, ratchet, revocations, stands in one file that is replaced in one rename: so
every change counts whole or not at all. `runtime/appliance/models` makes the changes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from runtime.config.strict import Strict
from runtime.errors import ModelRefused
from runtime.inference.manifest import Digest, Name, Version
from runtime.instant import Instant
from runtime.plain_file import read_plain

STATE, SLOTS, KEYS, INCOMING = "state.json", "slots", "keys", "incoming"
FORMAT: Final = 1
MOST_BYTES = 2**22
Slot = Literal["a", "b"]


class KeptBundle(Strict):
    """A bundle in a slot: `digest` is the SHA-256 of its manifest, `sha256` that of its file,
    `key` the fingerprint of who signed it; `runs_as` says in words how it runs here and `p99_ms`
    how long an answer took when it was tried out.
    """

    version: Version
    digest: Digest
    sha256: Digest
    signed_by: str
    key: Digest
    task: str
    installed: Instant
    runs_as: str
    p99_ms: float

    def file(self, name: str) -> str:
        """Return what its file is called."""
        return f"{name}-{self.version}.nsb"


class SessionOnTrial(Strict):
    """A run that began with the model and has not said how it ended."""

    run: str
    boot_id: str


class OnTrial(Strict):
    """A model that is active and not yet confirmed: by run, how many `good` tiles there were of
    the `needs` ones; `cut_off` counts runs that ended when the machine went down.
    """

    began: Instant
    needs: Annotated[int, Field(ge=1)]
    days: float
    good: dict[str, int] = Field(default_factory=dict)
    cut_off: int = 0
    session: SessionOnTrial | None = None

    @property
    def good_tiles(self) -> int:
        """Return how many good tiles there were."""
        return sum(self.good.values())


class ModelSlots(Strict):
    """One model: what its slots hold, which is active (None: none, or the shelf's), whether that is
    on trial; the ratchet, the highest version that was ever confirmed, and what was rolled back,
    by digest, and why.
    """

    slots: dict[Slot, KeptBundle] = Field(default_factory=dict)
    active: Slot | None = None
    trial: OnTrial | None = None
    highest: Version = "0.0.0"
    rolled_back: dict[Digest, str] = Field(default_factory=dict)

    @property
    def kept(self) -> KeptBundle | None:
        """Return the active bundle."""
        return None if self.active is None else self.slots[self.active]

    @property
    def inactive(self) -> Slot:
        """Return the slot that an installation may use."""
        return "b" if self.active == "a" else "a"


class StoreState(Strict):
    """All that the store says; keys by fingerprint and bundles by digest, each with the reason."""

    format: Literal[1] = FORMAT
    models: dict[Name, ModelSlots] = Field(default_factory=dict)
    revoked_keys: dict[Digest, str] = Field(default_factory=dict)
    revoked_bundles: dict[Digest, str] = Field(default_factory=dict)

    def model(self, name: str) -> ModelSlots:
        """Return what it says of a model, also of one it does not know."""
        return self.models.get(name, ModelSlots())


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as what is compared."""
    return tuple(int(part) for part in version.split("."))


def slot_file(store: Path, name: str, slot: Slot, bundle: KeptBundle) -> Path:
    """Return where a bundle of a slot lies."""
    return store / SLOTS / name / slot / bundle.file(name)


def state_bytes(state: StoreState) -> bytes:
    """Return the content of the state file, which says its own SHA-256."""
    plain = state.model_dump(mode="json")
    return (json.dumps({"sha256": _digest(plain), "state": plain}, indent=1) + "\n").encode()


def read_state(store: Path) -> StoreState:
    """Return what a store says; one that is not there says nothing.

    Raises ModelRefused for a state file that cannot be read or is not what was written.
    """
    path = store / STATE
    if not path.exists():
        return StoreState()
    content = read_plain(path, what="state of models", most_bytes=MOST_BYTES, refuse=ModelRefused)
    try:
        found = json.loads(content)
        state = StoreState.model_validate_json(json.dumps(found["state"]))
        whole = found["sha256"] == _digest(found["state"])
    except (ValueError, TypeError, LookupError, RecursionError, ValidationError):
        whole = False
    if not whole:
        raise ModelRefused(
            f"state of models {path}: is not as it was written",
            remedy="restore it from a copy; or move the folder away, and install the models again",
        )
    return state


def _digest(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
