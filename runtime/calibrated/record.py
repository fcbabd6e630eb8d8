"""A calibration as the run reads it: a dated, hashed, accepted or refused measurement."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import ConfigDict

from runtime.calibrated.filing import filed
from runtime.config.strict import Strict
from runtime.errors import CalibrationExpired, CalibrationRefused, ConfigRefused
from runtime.instant import Instant
from runtime.plain_file import array_of, read_plain, read_text

Kind = Literal[
    "dark",
    "flat-field",
    "backlash",
    "camera-stage",
    "distortion",
    "objective-offset",
    "led-pair",
    "guard",
]
DAY_S = 86400.0
MOST_AHEAD_DAYS = 1.0
"""Of a record of another boot: a clock kept in local time is hours off until somebody sets it."""
MOST_BYTES = 2**22
MOST_ARRAY_BYTES = 2**30
"""Twice what the largest camera's flat field takes."""

AGAIN = "remove the file and run the routine again"


class CalibrationRecord(Strict):
    """One accepted or failed measurement.

    `objective` is "" where the result does not depend on it. `values`, `uncertainties` and
    `units` share keys; matrices are stored row by row ("m00", "m01", ...). `files` are arrays
    (`.npy`) beside the record. `depends_on` is `dependency_hash` of camera, region of interest,
    objective and board.
    """

    kind: Kind
    objective: str = ""
    made: Instant
    values: dict[str, float]
    uncertainties: dict[str, float]
    units: dict[str, str]
    residuals: tuple[float, ...] = ()
    acceptance: str
    passed: bool
    advice: str = ""
    depends_on: str
    files: dict[str, str] = {}
    simulated: bool = False

    # A routine that failed says so with what it found, which may be no number.
    model_config = ConfigDict(allow_inf_nan=True)

    @property
    def name(self) -> str:
        """Return the name of the record's file, without its date."""
        return f"{self.kind}-{self.objective}" if self.objective else self.kind

    def value(self, key: str) -> float:
        """Return one of the values. Raises CalibrationRefused for one that the record lacks."""
        if key not in self.values:
            of, remedy = _named(self.kind, self.objective)
            raise CalibrationRefused(
                f"calibration '{of}' lacks a value",
                value=", ".join(self.values) or "none",
                limit=key,
                remedy=remedy,
            )
        return self.values[key]

    def age_days(self, now: Instant) -> float:
        """Return the record's age in days. It is by the monotonic clock, which is never set, if the
        machine has been up since; otherwise by the wall clock.
        """
        since_s = now.since_s(self.made)
        return (now.wall_s - self.made.wall_s if since_s is None else since_s) / DAY_S

    def is_ahead(self, now: Instant) -> bool:
        """Return whether the record is of the future: nobody knows how old it really is.

        Of this very boot none can be.
        """
        return now.since_s(self.made) is None and self.age_days(now) < -MOST_AHEAD_DAYS


def dependency_hash(parts: Mapping[str, object]) -> str:
    """Return a short stable hash of what a calibration depends on."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def latest(folder: Path, *, kind: Kind, objective: str = "") -> CalibrationRecord | None:
    """Return the record of a kind that was filed last, or None."""
    stem = f"{kind}-{objective}" if objective else kind
    found = filed(folder, stem)
    if not found:
        return None
    record = read_record_file(found[-1])
    if (record.kind, record.objective) != (kind, objective):
        raise CalibrationRefused(
            f"calibration record {found[-1]}: holds another calibration than its name says",
            value=record.name,
            limit=stem,
            remedy="remove the file, or give it back its name",
        )
    return record


def read_record_file(path: Path) -> CalibrationRecord:
    """Return the record in a file.

    Raises CalibrationRefused, naming the file, for one that is damaged, or passed on values that
    are no numbers.
    """
    text = read_text(
        path,
        what="calibration record",
        most_bytes=MOST_BYTES,
        refuse=CalibrationRefused,
        no_text=AGAIN,
    )
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("holds no record")
        record = CalibrationRecord.read(values, source=path)
        if record.passed and not all(map(math.isfinite, record.values.values())):
            raise ValueError("a value is no number")
    except (ValueError, RecursionError, ConfigRefused) as error:
        raise CalibrationRefused(
            f"calibration record {path} cannot be read: {error}", remedy=AGAIN
        ) from None
    return record


def read_array(record: CalibrationRecord, key: str, *, folder: Path) -> NDArray[Any]:
    """Return an array that lies beside a record, in `folder`.

    Raises CalibrationRefused, naming the file, for one that is missing, damaged or elsewhere.
    """
    of, remedy = _named(record.kind, record.objective)
    name = record.files.get(key, f"(no '{key}' in the record)")
    what = f"calibration '{of}' has lost its array"
    if "/" in name:
        raise CalibrationRefused(
            f"{what}: it lies in another folder", value=name, limit=str(folder), remedy=remedy
        )
    content = read_plain(
        folder / name,
        what=what,
        most_bytes=MOST_ARRAY_BYTES,
        refuse=CalibrationRefused,
        remedy=remedy,
    )
    try:
        array = array_of(content)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"holds no numbers but {array.dtype}")
    except ValueError as error:
        raise CalibrationRefused(f"{what} {folder / name}: {error}", remedy=remedy) from None
    return array


def require(
    folder: Path,
    *,
    kind: Kind,
    objective: str = "",
    depends_on: str | None,
    now: Instant,
    max_age_days: float,
) -> CalibrationRecord:
    """Return the newest record of a kind; raise CalibrationRefused when it cannot serve.

    `depends_on` is None where nobody knows what it is to serve.
    """
    record = require_passed(folder, kind=kind, objective=objective)
    of, remedy = _named(kind, objective)
    if depends_on is not None and record.depends_on != depends_on:
        raise CalibrationRefused(
            f"calibration '{of}' belongs to another camera, region of interest, objective or board",
            value=record.depends_on,
            limit=depends_on,
            remedy=remedy,
        )
    if record.is_ahead(now):
        raise CalibrationRefused(
            f"calibration '{of}' is dated in the future",
            value=_date(record.made),
            limit=f"{_date(now)}, which this controller's clock says",
            remedy=f"see that the clock is right, then {remedy}",
        )
    age_days = record.age_days(now)
    if age_days > max_age_days:
        raise CalibrationExpired(
            f"calibration '{of}' is stale",
            value=f"{age_days:.0f} days",
            limit=f"{max_age_days:.0f} days",
            remedy=remedy,
        )
    return record


def require_passed(folder: Path, *, kind: Kind, objective: str = "") -> CalibrationRecord:
    """Return the newest record of a kind, whoever made it and when.

    Raises CalibrationRefused when it is missing or failed.
    """
    record = latest(folder, kind=kind, objective=objective)
    of, remedy = _named(kind, objective)
    if record is None:
        raise CalibrationRefused(f"calibration '{of}' is missing in {folder}", remedy=remedy)
    if not record.passed:
        raise CalibrationRefused(
            f"calibration '{of}' failed its limit",
            value=record.advice,
            limit=record.acceptance,
            remedy=remedy,
        )
    return record


def _date(moment: Instant) -> str:
    try:
        return f"{datetime.fromtimestamp(moment.wall_s, tz=UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{moment.wall_s:g} s since 1970"


def _named(kind: Kind, objective: str) -> tuple[str, str]:
    """Return a calibration in words, and how to make it again."""
    if not objective:
        return kind, f"run: nightscope calibrate {kind}"
    return (
        f"{kind} for {objective}",
        f"run: nightscope calibrate {kind} --objective {objective}",
    )
