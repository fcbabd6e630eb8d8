"""Put artefacts into one signed bundle, with golden tiles that prove it on any machine."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import FP32, INT8, IR_BIN, IR_XML, LUT, Artefacts
from export.bundle.sign import sign
from runtime.errors import ModelRefused
from runtime.inference.archive import MAX_BUNDLE_BYTES
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import MANIFEST, SIGNATURE
from runtime.inference.manifest import parse_manifest
from runtime.inference.selftest import input_digests
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.spec import PreprocessSpec

# Back ends round int8 sums differently: allow three times what was seen here, and no less than
# this, since only a few machines are seen.
LEAST_TOLERANCE, MARGIN = 0.02, 3.0
# Zip stores a date per file; a fixed one makes equal content give equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(artefacts: Artefacts, *, key: Path, out: Path, with_fp32: bool = True) -> None:
    """Write the bundle; raises ConfigRefused for a bad key, ModelRefused for a bad manifest or a
    bundle larger than a device takes.

    Without fp32, asked for or because there is none, it is about a third as large; the device then
    has int8 alone to choose from.
    """
    models = {"int8": (INT8, artefacts.int8)}
    if with_fp32 and artefacts.fp32 is not None:
        models["fp32"] = (FP32, artefacts.fp32)
    ir = artefacts.ir()
    files = {
        **dict(models.values()),
        IR_XML: ir.xml,
        IR_BIN: ir.weights,
        LUT: _npy(artefacts.lut),
        **{f"golden/{i}.npy": _npy(tile) for i, tile in enumerate(artefacts.golden)},
    }
    if artefacts.guard is not None:
        files |= {name: _npy(array) for name, array in artefacts.guard.arrays().items()}
    _check_size(files, out)
    content = json.dumps(_manifest(artefacts, models, files), indent=1).encode()
    parse_manifest(content, bundle=str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in {MANIFEST: content, SIGNATURE: sign(content, key), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)


def _check_size(files: dict[str, bytes], out: Path) -> None:
    total = sum(len(data) for data in files.values())
    # The manifest comes on top, a few kilobytes.
    if total > MAX_BUNDLE_BYTES - 2**20:
        raise ModelRefused(
            f"bundle {out} would be too large",
            value=f"{total} bytes",
            limit=f"{MAX_BUNDLE_BYTES} bytes",
            remedy="pack it with --no-fp32",
        )


def _manifest(
    artefacts: Artefacts, models: dict[str, tuple[str, bytes]], files: dict[str, bytes]
) -> dict[str, Any]:
    spec = PreprocessSpec.from_json(artefacts.about["preprocessing"])
    inputs = [to_input(tile, spec, artefacts.lut) for tile in artefacts.golden]
    scores = {precision: _scores(model, inputs) for precision, (_, model) in models.items()}
    spread = max(_spread(runs) for runs in scores.values())
    return {
        **artefacts.about,
        "format": 1,
        "models": {precision: name for precision, (name, _) in models.items()},
        "ir": {"int8": {"xml": IR_XML, "bin": IR_BIN}},
        "lut": LUT,
        "golden": [
            {
                "file": f"golden/{i}.npy",
                "inputs": input_digests(one),
                "scores": {p: runs["onnxruntime"][i].tolist() for p, runs in scores.items()},
            }
            for i, one in enumerate(inputs)
        ],
        "tolerance": max(LEAST_TOLERANCE, MARGIN * spread),
        "trust": None if artefacts.guard is None else artefacts.guard.manifest(),
        "files": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }


def _scores(model: bytes, inputs: list[Inputs]) -> dict[str, NDArray[np.float32]]:
    """Return the (tiles, classes) scores by back end."""
    runs = {}
    for backend in backends():
        session = open_session(model, backend=backend, threads=1)
        runs[str(backend)] = np.stack([session.run(one) for one in inputs])
    return runs


def _spread(runs: dict[str, NDArray[np.float32]]) -> float:
    """Return the largest difference between any two back ends."""
    return float(np.ptp(np.stack(list(runs.values())), axis=0).max())


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
