"""What the fuzzers begin with: every reader, files as our own writers make them, and forgers.

A forger changes what only the format knows of, so that the change gets past its checksums.
"""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.fuzzing.pictures import DEEP, GREY, PICTURES
from benchmarks.fuzzing.reader import Reader
from firmware_bridge.frames.codec import MAX_PAYLOAD, Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import (
    BoardStatus,
    HelloReply,
    HelloRequest,
    unpack_axis,
    unpack_name,
    unpack_reason,
    unpack_steps,
)
from runtime.calibrated.record import read_array, read_record_file
from runtime.config.plan_file import load_plan
from runtime.config.settings import SHIPPED_MODELS, load_settings
from runtime.inference.bundle import MANIFEST, SIGNATURE, find_bundle, open_bundle
from runtime.instant import Instant
from runtime.instrument.camera.position_file import read_positions
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StoredTile, TileFile
from runtime.record.summary import summarise
from runtime.record.trouble import damage_is_named
from runtime.report.run_data import read_run
from runtime.tasks.registry import RECORDS
from runtime.tile import FocusVerdict, Imaging, Label, Placement, Seam, Shot, StagePosition

SHIPPED = Path(__file__).parents[2] / "runtime/instrument/simulator"
NAMES = [f"r{row}_c{column}.png" for row in range(2) for column in range(2)]


POSITIONS_2 = {"map": {"StagePositions": {"array": [{
    "Label": {"scalar": "r0_c0"}, "DefaultXYStage": {"scalar": "XY"}, "DevicePositions": {"array": [
        {"Device": {"scalar": "XY"}, "Position_um": {"array": [1.5, -2.0]}}]},
}]}}}  # fmt: skip
POSITIONS_1 = {"POSITIONS": [{"LABEL": "r0_c0", "DEFAULT_XY_STAGE": "XY", "DEVICES": [
    {"DEVICE": "XY", "AXES": 2, "X": 1.0, "Y": 2.0}]}]}  # fmt: skip


@cache
def positions() -> list[bytes]:
    """Return positions as Fiji, MIST, SerialEM and both releases of Micro-Manager write them."""
    entries = [TileEntry(name=name, x_px=50.0 * n, y_px=-1.5) for n, name in enumerate(NAMES)]
    mist = "".join(
        f"file: {name}; corr: 0.9; position: ({n}, 3); grid: (0, {n});\n"
        for n, name in enumerate(NAMES)
    )
    montage = "ImageFile = a.mrc\n[ZValue = 0]\nPieceCoordinates = 0 0 0\n[ZValue = 1]\n"
    told = [mist, montage + "PieceCoordinates = 50 0 0\n", format_tile_configuration(entries)]
    told += [format_tile_configuration(entries).replace("dim = 2", "dims=3").replace(")", ", 1)")]
    return [text.encode() for text in (*told, json.dumps(POSITIONS_1), json.dumps(POSITIONS_2))]


def _read_positions(path: Path) -> object:
    folder = path.parent / "tiles"
    if not folder.is_dir():
        folder.mkdir()
        for name in NAMES:
            (folder / name).touch()
    return read_positions(path, folder)


PLAN = b"""name: night
objective: 10x
region: {x_um: [-500, 300], y_um: [-300, 400]}
grid:
overlap: 0.25
exposure_ms: 10
focus: {policy: surface, start_z_um: 0, range_um: 80, sweep_every: 6}
model: mussel-tissue
visits: {labels: [tissue], objective: 20x, min_score: 0.8}
"""
SEQUENCES = (
    {
        "grid_plan": {"rows": 3, "columns": 4, "overlap": [10, 10], "mode": "row_wise_snake"},
        "stage_positions": [{"x": 10.0, "y": 20.0, "z": 5.0, "name": "a"}],
        "channels": [{"config": "brightfield", "exposure": 25}],
        "axis_order": "pgcz",
        "metadata": {"nightscope": {"objective": "10x", "name": "from useq"}},
    },
    {
        "grid_plan": {"top": 100, "left": 0, "bottom": 0, "right": 200, "overlap": 5},
        "z_plan": {"range": 4, "step": 2},
        "metadata": {"nightscope": {"objective": "10x"}},
    },
    {
        "stage_positions": [
            [0, 0, 1],
            {"x": 1, "y": 2, "sequence": {"grid_plan": {"rows": 1, "columns": 2}}},
        ],
        "time_plan": {"interval": 3, "loops": 4},
        "metadata": {"nightscope": {"objective": "10x"}},
    },
)


@cache
def settings() -> list[bytes]:
    """Return the settings that ship with the simulated microscope, and some more sections."""
    shipped = next(SHIPPED.rglob("settings.toml"), None)
    text = SETTINGS if shipped is None else shipped.read_bytes()
    return [text, text + b"[motion]\napproach_um = 12.0\n[pipeline]\nqueue_tiles = 4\n"]


SETTINGS = b"""[instrument]
name = "a"
[stage]
driver = "native"
port = "auto"
[light]
driver = "simulated"
[camera]
driver = "simulated"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[calibration]
folder = "calibration"
empty_field_um = [0, 1000]
[budgets_ms]
move = 2000
[simulation]
seed = 1
"""


@cache
def records() -> list[bytes]:
    """Return calibration records."""
    return [
        json.dumps({
            "kind": "camera-stage", "objective": "10x", "acceptance": "±5 %", "passed": True,
            "made": {"boot_id": "b", "monotonic_s": 1.0, "wall_s": 1.8e9}, "depends_on": "x",
            "values": {"m00": 0.5, "m01": 0.0, "m10": 0.0, "m11": 0.5, "pixel_size_um": 0.5},
            "uncertainties": {"m00": 0.01}, "units": {"m00": "µm"}, "residuals": [0.1, 0.2],
            "files": {"dark": "dark.npy"}, "advice": "",
        }, indent=indent).encode()
        for indent in (None, 2)
    ]  # fmt: skip


@cache
def arrays() -> list[bytes]:
    """Return arrays of numbers as NumPy writes them."""
    found = []
    for array in (GREY.astype(np.float32), DEEP, np.ones(6)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def _read_array(path: Path) -> object:
    from runtime.calibrated.record import CalibrationRecord

    told = json.loads(records()[0]) | {"files": {"dark": path.name}}
    record = CalibrationRecord.read(told, source="fuzz")
    return read_array(record, "dark", folder=path.parent)


def _shot(tile_id: str, column: int) -> Shot:
    return Shot(
        tile_id=tile_id, phase="overview", region_id=None, row=0, column=column,
        stage=StagePosition(x_um=1.0, y_um=2.0, z_um=3.0), simulated=True,
        imaging=Imaging(
            objective="10x", pixel_size_um=0.5, light="b", brightness=0.5, exposure_ms=10.0
        ),
        taken=Instant(boot_id="b", monotonic_s=1.0, wall_s=1.8e9),
    )  # fmt: skip


@cache
def journals() -> list[bytes]:
    """Return a small journal of a night, closed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        journal = Journal(path, create=True)
        created = {"boot_id": "b", "monotonic_s": 1.0, "wall_s": 1.8e9}
        journal.note(name="a", state="paused", created=created, scan_s=3.0, tiles_planned=3)
        verdict = FocusVerdict(status="ok", z_um=0.1, sigma_z_um=0.2, curve=((0.0, 1.0),))
        for n in range(3):
            tile, name = f"r000_c{n:03d}", f"tiles/{n}.tif"
            file = TileFile(file=name, sha256="0" * 64, height_px=40, width_px=56)
            journal.add_tile(
                StoredTile(seq=n, shot=_shot(tile, n), file=file),
                FocusRow(tile_id=tile, source="sweep", verdict=verdict),
            )
            scores = {"tissue": 0.75}
            journal.set_label(tile, Label(name="tissue", score=0.75, scores=scores, model="m"))
            journal.set_placements([Placement(tile_id=tile, x_px=1.0 * n, y_px=0.0)])
        seam = Seam(
            a="r000_c000", b="r000_c001", dx_px=1, dy_px=2, residual_px=0.1, ncc=0.9, method="phase"
        )
        journal.set_seams([seam])
        journal.close()
        return [path.read_bytes()]


CELLS = (None, "abc", 9e999, -1, 2**62, b"\xff\xfe", "{", "[" * 5000, '"x"', "[[1]]", "{}", "NaN")


def forged_journal(content: bytes, chance: Random) -> bytes:
    """Return a journal with one value of one row changed, or a table or column renamed."""
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(content)
        found = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        table = chance.choice([name for (name,) in found])
        columns = [row[1] for row in database.execute(f"PRAGMA table_info('{table}')")]
        column = chance.choice(columns)
        statement, values = f'UPDATE "{table}" SET "{column}" = ?', (chance.choice(CELLS),)
        if chance.random() < 0.1:
            statement, values = f'ALTER TABLE "{table}" RENAME TO gone', ()
        database.execute(statement, values)
        database.commit()
        return database.serialize()
    except (sqlite3.Error, IndexError):
        return content
    finally:
        database.close()


def _read_journal(path: Path) -> object:
    for beside in path.parent.glob("journal.sqlite-*"):
        beside.unlink()
    journal = Journal(path)
    try:
        with damage_is_named(path):
            return summarise(path.parent, journal), read_run(path.parent, journal)
    finally:
        journal.close()


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@cache
def bundles() -> list[bytes]:
    """Return the shipped bundles' manifests in bundles without their networks, signed by us."""
    found = []
    for name in ("focus-both", "mussel-tissue", "strip-match"):
        with zipfile.ZipFile(find_bundle(SHIPPED_MODELS, name)) as archive:
            manifest = archive.read(MANIFEST)
        files = dict.fromkeys(json.loads(manifest)["files"], b"x" * 50)
        found += [_bundle(manifest, files, coding) for coding in (0, 8)]
    return found


def _bundle(manifest: bytes, files: dict[str, bytes], coding: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", coding) as archive:
        for name, content in {MANIFEST: manifest, SIGNATURE: KEY.sign(manifest), **files}.items():
            archive.writestr(name, content)
    return target.getvalue()


def forged_bundle(content: bytes, chance: Random) -> bytes:
    """Return a bundle with a value of its manifest changed, and signed again."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            told = json.loads(archive.read(MANIFEST))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return content
    here = told
    while True:
        key: Any = chance.choice(list(here) if isinstance(here, dict) else range(len(here)))
        if not isinstance(here[key], dict | list) or not here[key] or chance.random() < 0.15:
            break
        here = here[key]
    here[key] = chance.choice((None, -1, 1e308, "", "../x", [], {}, True, "x" * 3000, 2**70))
    return _bundle(json.dumps(told).encode(), {"a": b"x" * 50}, 8)


def _read_bundle(path: Path) -> object:
    keys = path.parent / "keys"
    if not keys.is_dir():
        keys.mkdir()
        public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (keys / "fuzz.pub").write_bytes(public)
    return open_bundle(path, keys=keys, tasks=RECORDS)


PAYLOADS: tuple[Callable[[bytes], object], ...] = (
    HelloRequest.unpack, HelloReply.unpack, BoardStatus.unpack, unpack_axis, unpack_name,
    unpack_steps, unpack_reason,
)  # fmt: skip


@cache
def frames() -> list[bytes]:
    """Return streams of frames with payloads of every length that one of ours has."""
    return [
        b"\0".join(encode(_frame(bytes(range(length)))) for length in range(0, MAX_PAYLOAD + 1, 3))
        + b"\0"
    ]


def _frame(payload: bytes) -> Frame:
    return Frame(type=FrameType(1), session=1, command_id=2, opcode=3, payload=payload)


def forged_frames(_: bytes, chance: Random) -> bytes:
    """Return a stream of frames whose checksums are right, and whose payloads are anything."""
    payloads = (chance.randbytes(chance.randrange(MAX_PAYLOAD + 1)) for _ in range(20))
    return b"".join(encode(_frame(payload)) + b"\0" for payload in payloads)


def _read_frames(path: Path) -> object:
    from firmware_bridge.errors import BridgeError

    found = FrameSplitter().feed(path.read_bytes())
    for frame in found:
        for unpack in PAYLOADS:
            try:
                unpack(frame.payload)
            except BridgeError as refusal:
                if len(str(refusal)) >= 500:
                    raise
    return found


def _sequences() -> list[bytes]:
    return [json.dumps(one, indent=1).encode() for one in SEQUENCES]


READERS = {reader.name: reader for reader in (
    *PICTURES,
    Reader(name="positions", file="a.txt", corpus=positions, read=_read_positions),
    Reader(name="plan", file="plan.yaml", corpus=lambda: [PLAN], read=load_plan),
    Reader(name="useq", file="night.yaml", corpus=_sequences, read=load_plan),
    Reader(name="settings", file="settings.toml", corpus=settings, read=load_settings),
    Reader(name="record", file="a@1.json", corpus=records, read=read_record_file),
    Reader(name="array", file="a.npy", corpus=arrays, read=_read_array),
    Reader(
        name="journal", file="journal.sqlite", corpus=journals, read=_read_journal,
        forge=forged_journal,
    ),
    Reader(name="bundle", file="a.nsb", corpus=bundles, read=_read_bundle, forge=forged_bundle),
    Reader(name="frames", file="a.bin", corpus=frames, read=_read_frames, forge=forged_frames),
)}  # fmt: skip
