"""Put artefacts into one signed bundle, with golden examples that prove it on any machine."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import CARD, FP32, INT8, IR_BIN, IR_XML, Artefacts
from export.bundle.sign import sign
from runtime.errors import ModelRefused
from runtime.inference.archive import MAX_BUNDLE_BYTES
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import MANIFEST, SIGNATURE
from runtime.inference.manifest import FORMAT, parse_manifest
from runtime.inference.selftest import input_digests
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs
from runtime.tasks.registry import RECORDS

# Back ends round int8 sums differently: allow three times what was seen here, and no less than the
# task's own tolerance, since only a few machines are seen.
MARGIN = 3.0
# Zip stores a date per file; a fixed one makes equal content give equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)

Models = dict[str, tuple[str, bytes]]
# Of one precision: by back end, the outputs of every golden example.
Runs = dict[str, list[Outputs]]


def pack(artefacts: Artefacts, *, key: Path, out: Path, with_fp32: bool = True) -> None:
    """Write the bundle; raises ConfigRefused for a bad key, ModelRefused for a bad manifest or a
    bundle larger than a device takes.

    Without fp32, asked for or because there is none, it is about a third as large; the device then
    has int8 alone to choose from.
    """
    models = {"int8": (INT8, artefacts.int8)}
    if with_fp32 and artefacts.fp32 is not None:
        models["fp32"] = (FP32, artefacts.fp32)
    inputs = _inputs(artefacts)
    runs = {precision: _runs(model, inputs) for precision, (_, model) in models.items()}
    files = _files(artefacts, models, runs)
    _check_size(files, out)
    manifest = _manifest(artefacts, models, inputs, runs)
    content = json.dumps({**manifest, "files": _listed(files)}, indent=1).encode()
    parse_manifest(content, bundle=str(out), tasks=RECORDS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in {MANIFEST: content, SIGNATURE: sign(content, key), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)


def _inputs(artefacts: Artefacts) -> list[Inputs]:
    return [
        artefacts.input.inputs(seen, lambda n: artefacts.arrays[n]) for seen in artefacts.golden
    ]


def _runs(model: bytes, inputs: list[Inputs]) -> Runs:
    runs = {}
    for backend in backends():
        session = open_session(model, backend=backend, threads=1)
        runs[str(backend)] = [session.run(one) for one in inputs]
    return runs


def _files(artefacts: Artefacts, models: Models, runs: dict[str, Runs]) -> dict[str, bytes]:
    """Return the content of every file of the bundle by its name there."""
    ir = artefacts.ir()
    files = {
        **dict(models.values()),
        IR_XML: ir.xml,
        IR_BIN: ir.weights,
        CARD: artefacts.card.encode(),
        **{name: _npy(array) for name, array in artefacts.arrays.items()},
    }
    for index, pictures in enumerate(artefacts.golden):
        files |= {_picture(index, place): _npy(one) for place, one in enumerate(pictures)}
        for precision, run in runs.items():
            # ONNX Runtime is on every device, so what it makes is what is expected.
            outputs = run["onnxruntime"][index]
            for tensor in artefacts.task.OUTPUTS:
                files[_output(index, precision, tensor)] = _npy(outputs[tensor])
    return files


def _manifest(
    artefacts: Artefacts, models: Models, inputs: list[Inputs], runs: dict[str, Runs]
) -> dict[str, Any]:
    """Return the manifest without its list of files."""
    about = artefacts.about
    return {
        "format": FORMAT,
        **about,
        "networks": {
            "models": {precision: name for precision, (name, _) in models.items()},
            "ir": {"int8": {"xml": IR_XML, "bin": IR_BIN}},
            **about["networks"],
        },
        "golden": {
            "examples": [
                {
                    "pictures": [_picture(index, n) for n in range(artefacts.task.PICTURES)],
                    "inputs": input_digests(one),
                    "outputs": {
                        precision: {t: _output(index, precision, t) for t in artefacts.task.OUTPUTS}
                        for precision in models
                    },
                }
                for index, one in enumerate(inputs)
            ],
            "tolerance": {
                tensor: max(least, MARGIN * _spread(runs, tensor))
                for tensor, least in about["golden"]["tolerance"].items()
            },
        },
        "origin": {**about["origin"], "card": CARD},
    }


def _spread(runs: dict[str, Runs], tensor: str) -> float:
    """Return the largest difference between any two back ends of the same precision."""
    found = [
        float(np.ptp(np.stack([one[tensor] for one in together]), axis=0).max())
        for run in runs.values()
        for together in zip(*run.values(), strict=True)
    ]
    return max(found, default=0.0)


def _picture(index: int, place: int) -> str:
    return f"golden/{index}.{place}.npy"


def _output(index: int, precision: str, tensor: str) -> str:
    return f"golden/{index}.{precision}.{tensor}.npy"


def _listed(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    return {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }


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


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
