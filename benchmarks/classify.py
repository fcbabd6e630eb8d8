"""A 2048 x 2048 16-bit tile to its decision: the reference path against the device's, in one run.

Same weights, same tiles, by turns in one process, two threads each. Reference: scikit-image's
full-size LBP of three radii, counted by NumPy or looked up in the table and resized by nearest
neighbour, the streams in PyTorch fp32, scikit-learn's linear classifier. Device: codes where they
are needed, then the fused int8 graph on the back end and layout that is the fastest here. Late
fusion of two streams, intensity and texture (a linear machine), or of `--inputs`. Prints one JSON
line per architecture: medians, the ratio's median over pairs, the device path's parts, what the
inputs of each stream alone take, every back end and layout, tiles/s of a stream, and peak memory,
each path in a process of its own.

Tiles are 2048 x 2048 cuts of the committed electron micrograph of a whole mussel section, or of
`--images`, a folder of others, enlarged where they are smaller; 8-bit levels are spread over 16.
Random weights time as trained ones do but decide by chance, so decisions are compared only for
`--trained`, folders written by `nightscope export train`.

    python benchmarks/classify.py --architecture resnet50 --pairs 9
    python benchmarks/classify.py --architecture resnet50 --inputs intensity lbp1 lbp2 lbp3
    python benchmarks/classify.py --trained DIR --images ../shared/data/uhcs_sem --pairs 100
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.config.settings import SHIPPED_MODELS
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import find_bundle, open_bundle
from runtime.inference.processor import processor
from runtime.inference.session import LAYOUTS, Session
from runtime.inference.view_input import ViewInput
from runtime.instrument.camera.files import IMAGE_SUFFIXES, read_image
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.record import SCORES
from runtime.tasks.registry import RECORDS

if TYPE_CHECKING:
    from peers.classify_case import Case

SECTION = (
    Path(__file__).resolve().parents[1] / "runtime/instrument/simulator/specimen/s3_section.webp"
)
INPUTS = ("intensity", "texture")
ARCHITECTURES = ("compact", "resnet50", "vgg16_bn")
SIDE_PX, CALIBRATION, WARM_UPS, STREAMED = 2048, 4, 2, 40
Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class Device:
    """The runtime's own path."""

    session: Session
    spec: PreprocessSpec
    lut: NDArray[np.float32]
    threads: int

    def inputs(self, tile: Pixels) -> Inputs:
        """Return the networks' inputs."""
        return to_input(tile, self.spec, self.lut, threads=self.threads)

    def decide(self, tile: Pixels) -> int:
        """Return the index of the class."""
        return int(np.argmax(self.session.run(self.inputs(tile))[SCORES]))


def main() -> None:
    """Print the machine, then one JSON line per architecture or trained folder."""
    asked = _arguments()
    tiles = _tiles(asked.images, count=asked.pairs)
    if asked.peak is not None:
        print(_peak_mb(asked, tiles[:WARM_UPS]))
        return
    print(json.dumps({"processor": processor(), "amx": _has_amx(), "threads": asked.threads}))
    for source in [*asked.trained, *asked.architecture] or list(ARCHITECTURES):
        print(json.dumps(_compare(source, asked, tiles)), flush=True)


def _compare(source: str, asked: argparse.Namespace, tiles: list[Pixels]) -> dict[str, Any]:
    from peers.classify_case import Reference

    case = _case(source, asked.inputs, tiles)
    reference = Reference(case.classifier, case.spec, case.lut)
    ways = _ways(case, threads=asked.threads)
    first = next(iter(ways.values()))
    for tile in tiles[:WARM_UPS]:
        _check_equal(reference.inputs(tile), first.inputs(tile))
        for path in (reference, *ways.values()):
            path.decide(tile)
    seconds: dict[str, list[float]] = {name: [] for name in ("reference", "inputs", *ways)}
    equal: dict[str, list[bool]] = {name: [] for name in ways}
    for tile in islice(cycle(tiles), asked.pairs):
        expected = _timed(seconds["reference"], reference.decide, tile)
        _timed(seconds["inputs"], first.inputs, tile)
        for name, device in ways.items():
            equal[name].append(_timed(seconds[name], device.decide, tile) == expected)
    best = min(ways, key=lambda name: median(seconds[name]))
    pairs = list(zip(seconds["reference"], seconds[best], strict=True))
    ratios = [reference / device for reference, device in pairs]
    cpu_ms = {"reference": _cpu_ms(reference, tiles), "device": _cpu_ms(ways[best], tiles)}
    result = {
        "model": case.name,
        "inputs": case.spec.inputs,
        "pairs": asked.pairs,
        "ratio": round(median(ratios), 1),
        "device": best,
        "device_ms": _ms(seconds[best]),
        "of_it_preprocessing_ms": _ms(seconds["inputs"]),
        "inputs_alone_ms": _alone(first, tiles),
        "reference_ms": _ms(seconds["reference"]),
        "cpu_ms": cpu_ms,
        "ways_ms": {name: _ms(seconds[name]) for name in ways},
        "tiles_per_s": round(_tiles_per_s(ways[best], tiles), 1),
        "peak_mb": _peaks(source, case, best, asked),
    }
    if source in asked.trained:
        result["equal_decisions"] = float(np.mean(equal[best]))
    return result


def _alone(device: Device, tiles: list[Pixels]) -> dict[str, float]:
    """Return what the inputs of each stream take without the others'."""
    found = {}
    for name in device.spec.inputs:
        own, seconds = replace(device, spec=replace(device.spec, inputs=(name,))), list[float]()
        for tile in tiles[:CALIBRATION] * 2:
            _timed(seconds, own.inputs, tile)
        found[name] = _ms(seconds[CALIBRATION:])
    return found


def _timed(seconds: list[float], work: Any, tile: Pixels) -> Any:
    start = perf_counter()
    outcome = work(tile)
    seconds.append(perf_counter() - start)
    return outcome


def _cpu_ms(path: Any, tiles: list[Pixels]) -> float:
    """Return the processor time of one decision, all threads together, which a busy machine does
    not stretch as it does the wall's.
    """
    seconds = []
    for tile in tiles[:CALIBRATION]:
        start = process_time()
        path.decide(tile)
        seconds.append(process_time() - start)
    return _ms(seconds)


def _ms(seconds: list[float]) -> float:
    return round(median(seconds) * 1e3, 1)


def _check_equal(expected: Inputs, found: Inputs) -> None:
    for name, array in expected.items():
        if not np.array_equal(array, found[name]):
            raise SystemExit(f"input {name} of the device differs from the reference")


def _ways(case: Case, *, threads: int) -> dict[str, Device]:
    layouts = LAYOUTS if min(len(case.cuts), threads) > 1 else LAYOUTS[:1]
    return {
        f"{backend} {layout}": Device(
            open_session(
                case.int8, backend=backend, threads=threads, layout=layout, cuts=case.cuts
            ),
            case.spec,
            case.lut,
            threads,
        )
        for backend in backends()
        for layout in layouts
    }


def _tiles_per_s(device: Device, tiles: list[Pixels]) -> float:
    """Return the rate of a stream: the next tile is prepared while one is judged."""
    waiting: deque[Future[Inputs]] = deque()
    start = perf_counter()
    with ThreadPoolExecutor(1) as pool:
        for tile in islice(cycle(tiles), STREAMED):
            waiting.append(pool.submit(device.inputs, tile))
            if len(waiting) > 1:
                device.session.run(waiting.popleft().result())
        device.session.run(waiting.popleft().result())
    return STREAMED / (perf_counter() - start)


def _case(source: str, inputs: tuple[str, ...], tiles: list[Pixels]) -> Case:
    from peers.classify_case import random_case, read_case

    if source in ARCHITECTURES:
        spec = PreprocessSpec(inputs=inputs)
        return random_case(source, spec, _lut(), tiles[:CALIBRATION])
    return read_case(Path(source))


def _lut() -> NDArray[np.float32]:
    """Return the table of the LBP codes that the shipped model uses."""
    path = find_bundle(SHIPPED_MODELS, "mussel-tissue")
    bundle = open_bundle(path, keys=SHIPPED_MODELS / "keys", tasks=RECORDS)
    return bundle.input(ViewInput).table(bundle.array)


def _tiles(images: Path | None, *, count: int) -> list[Pixels]:
    if images is None:
        section = cv2.imread(str(SECTION), cv2.IMREAD_GRAYSCALE)
        rows, columns = (np.linspace(0, side - SIDE_PX, 4, dtype=int) for side in section.shape)
        corners = [(top, left) for top in rows[1:] for left in columns]
        cuts = [section[top : top + SIDE_PX, left : left + SIDE_PX] for top, left in corners]
        return [_in_16_bits(cut) for cut in cuts]
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise SystemExit(f"{images} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    spread = found[:: max(1, len(found) // count)][:count]
    return [_in_16_bits(_square(read_image(path))) for path in spread]


def _square(image: NDArray[Any]) -> NDArray[Any]:
    side = min(image.shape)
    size = (SIDE_PX, SIDE_PX)
    return np.asarray(cv2.resize(image[:side, :side], size, interpolation=cv2.INTER_CUBIC))


def _in_16_bits(image: NDArray[Any]) -> Pixels:
    return image.astype(np.uint16) * 257 if image.dtype == np.uint8 else image


def _has_amx() -> bool:
    return "amx_int8" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()


def _peaks(source: str, case: Case, best: str, asked: argparse.Namespace) -> dict[str, int]:
    """Return the peak memory of both paths, megabytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "int8.onnx").write_bytes(case.int8)
        (folder / "spec.json").write_text(json.dumps(case.spec.to_json()))
        (folder / "cuts.json").write_text(json.dumps(case.cuts))
        np.save(folder / "lut.npy", case.lut)
        common = ["--threads", str(asked.threads), "--trained", source, "--inputs", *asked.inputs]
        device = ["--peak", *best.split(), "--model", name]
        return {
            "reference": _child_mb([*common, "--peak", "reference", ""]),
            "device": _child_mb([*common, *device]),
        }


def _child_mb(options: list[str]) -> int:
    command = [sys.executable, __file__, *options]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(ran.stdout)


def _peak_mb(asked: argparse.Namespace, tiles: list[Pixels]) -> int:
    """Return this process's peak memory after it decided some tiles on one path, megabytes."""
    backend, layout = asked.peak
    path: Any
    if backend == "reference":
        from peers.classify_case import Reference, classifier_of

        path = Reference(
            *classifier_of(asked.trained[0], dict.fromkeys(ARCHITECTURES, asked.inputs), _lut())
        )
    else:
        folder = asked.model
        path = Device(
            open_session(
                (folder / "int8.onnx").read_bytes(),
                backend=backend,
                threads=asked.threads,
                layout=layout,
                cuts=tuple(json.loads((folder / "cuts.json").read_text())),
            ),
            PreprocessSpec.from_json(json.loads((folder / "spec.json").read_text())),
            np.load(folder / "lut.npy"),
            asked.threads,
        )
    for tile in tiles:
        path.decide(tile)
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", nargs="*", choices=ARCHITECTURES, default=[])
    parser.add_argument("--inputs", nargs="*", default=INPUTS, type=str)
    parser.add_argument("--trained", nargs="*", default=[], metavar="DIR")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.inputs = tuple(asked.inputs)
    return asked


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
