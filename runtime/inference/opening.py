"""A model ready to run: its bundle verified, its back end chosen, one golden example passed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.candidates import open_choice
from runtime.inference.selection import choose
from runtime.inference.selftest import check_start
from runtime.inference.session import BACKENDS, Choice, Session
from runtime.inference.signature import Keyring
from runtime.inference.task import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A verified bundle, its network loaded, and how it runs."""

    bundle: Bundle
    session: Session
    choice: Choice


def open_model(
    path: Path,
    *,
    keys: Path | Keyring,
    tasks: Records,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int = 1,
    cache: Path | None = None,
    choice: Choice | None = None,
) -> Model:
    """Return the model of a bundle verified against the public keys in `keys`.

    "auto" measures the installed back ends; `cache` is a writable folder that remembers the
    result. A `choice` made earlier is taken as it is. One golden example is run, see `check_start`.
    Raises ModelRefused, also when that one comes out differently and for a task that is not among
    `tasks`.
    """
    bundle = open_bundle(path, keys=keys, tasks=tasks)
    if choice is None:
        allowed = BACKENDS if backend == "auto" else (backend,)
        choice, session = choose(bundle, allowed=allowed, threads=threads, cache=cache)
    else:
        session = open_choice(bundle, choice, threads=threads, cache=cache)
    # No second copy of the weights, which the session has, for as long as the model lives.
    bundle = bundle.loaded()
    check_start(bundle, session, choice)
    return Model(bundle=bundle, session=session, choice=choice)
