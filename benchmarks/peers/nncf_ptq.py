"""Quantise one ONNX model with NNCF; run by `quantise.py` with a Python that has NNCF and onnx.

    python nncf_ptq.py MODEL.onnx TILES.npz OUT.onnx KEPT.txt fast|exact

`TILES.npz` holds one (n, channels, y, x) array an input, `KEPT.txt` a node to leave in fp32 on each
line. Activations are asymmetric and weights seven bits where eight would overflow: NNCF's own
setting for CPUs of any kind. "exact" corrects biases layer by layer through the int8 model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

import nncf
import numpy as np
import onnx


def main() -> None:
    """Write the int8 model and print how long it took, in seconds."""
    source, tiles, out, kept, biases = sys.argv[1:]
    model = onnx.load(source)
    with np.load(tiles) as held:
        inputs = {name: held[name] for name in held.files}
    count = len(next(iter(inputs.values())))
    examples = [
        {name: array[index : index + 1] for name, array in inputs.items()} for index in range(count)
    ]
    start = perf_counter()
    quantised = nncf.quantize(
        model,
        nncf.Dataset(examples),
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=count,
        fast_bias_correction=biases == "fast",
        ignored_scope=nncf.IgnoredScope(names=Path(kept).read_text(encoding="utf-8").split("\n")),
    )
    seconds = perf_counter() - start
    onnx.save(quantised, out)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
