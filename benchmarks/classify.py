"""The shipped model on every back end and precision here, against ONNX Runtime fp32.

Milliseconds for one 512 x 448 16-bit tile, preprocessing included, one thread: medians over the
bundle's golden tiles, the back ends taking turns in one process.

    python benchmarks/classify.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from time import perf_counter

from runtime.inference.bundle import find_bundle, open_bundle
from runtime.inference.session import backends, open_session
from runtime.preprocess.inputs import to_input

MODELS = Path(__file__).resolve().parents[1] / "models"
ROUNDS = 15
PEER = "onnxruntime fp32"


def main() -> None:
    """Print one JSON line per back end and precision."""
    bundle = open_bundle(find_bundle(MODELS, "mussel-tissue"), keys=MODELS / "keys")
    spec, lut = bundle.manifest.spec, bundle.lut()
    tiles = [bundle.array(golden.file) for golden in bundle.manifest.golden]
    sessions = {
        f"{backend} {precision}": open_session(bundle.files[file], backend=backend, threads=1)
        for backend in backends()
        for precision, file in bundle.manifest.models.items()
    }
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for tile in tiles:
            start = perf_counter()
            inputs = to_input(tile, spec, lut)
            times["preprocessing"].append(perf_counter() - start)
            for name, session in sessions.items():
                start = perf_counter()
                session.run(inputs)
                times[name].append(perf_counter() - start)
    prepare_ms = median(times.pop("preprocessing")) * 1e3
    total_ms = {name: prepare_ms + median(values) * 1e3 for name, values in times.items()}
    for name, value in total_ms.items():
        print(
            json.dumps(
                {
                    "session": name,
                    "tile_ms": round(value, 2),
                    "of_it_preprocessing_ms": round(prepare_ms, 2),
                    "peer_ratio": round(total_ms[PEER] / value, 2),
                }
            )
        )


if __name__ == "__main__":
    main()
