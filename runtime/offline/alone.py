"""One process at a time writes to a folder of results: two would mix up one map."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.errors import ConfigRefused
from runtime.plain_file import reason_of
from runtime.record.storage import make_folder, no_folder


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keep others from writing to `out`, which is made, and taken away again if it stays empty.

    Raises ConfigRefused where it cannot be made, or another process is writing to it.
    """
    made = [one for one in (out, *out.parents) if not one.exists()]
    make_folder(out)
    try:
        held = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise no_folder(out, reason_of(error)) from None
    try:
        _lock(held, out)
        yield
    finally:
        with suppress(OSError):  # it holds the results
            for one in made:
                one.rmdir()
        os.close(held)


def _lock(held: int, out: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigRefused(
            f"another process is writing to {out}",
            remedy="wait for it, or name another folder with --out",
        ) from None
    except OSError:
        return  # a share that knows no locks
