"""What it costs the device to match two strips by its network, beside other matchers.

Strips of 128 x 512 and 128 x 1024 px of the committed section (mussel), off by a few pixels, noise
half the signal. The network is that of a bundle for the task `match`, in every precision it has, on
every back end installed; strips longer than its window are matched window by window, as the ladder
does it. Beside it, on the same strips: the same LoFTR in PyTorch on the same windows (weights drawn
by chance, which take as long), OpenCV's SIFT with its ratio test, and where their weights are given
XFeat and a distilled, coarse LoFTR. By turns in one process, medians; ratios are those of the
processor's time, all threads together, to the network's cheapest way.

Memory: how far a process's peak rises, by the kernel's count, above what it held before it opened
the network and matched; a fresh process for each. The runtime is loaded, with its compiled kernels;
"beside a classifier" the shipped one, too, on the same back end, as in a night. "auto" is how a
night opens the network: the first time it measures every back end, later it remembers.

    python benchmarks/match.py --network match.nsb --xfeat xfeat.pt --coarse LoFTR_teacher.onnx

Without `--network` it is the shipped one; where there is none, the others are measured alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import cv2
import numpy as np
from ladder import Specimen, finder_of, models_of, shipped
from numpy.typing import NDArray
from peers.grids import COUNTS_PER_GREY, SECTION

from export.evaluate.matching.matcher import TilePair
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.backends import backends
from runtime.inference.bundle import find_bundle, open_bundle
from runtime.inference.opening import open_model
from runtime.inference.processor import processor
from runtime.inference.session import Choice
from runtime.preprocess.strips import flattened
from runtime.stitch.match.agreed import Points
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.learned import cells
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from runtime.tasks.match.matcher import StripMatcher
from runtime.tasks.match.record import StripInput
from runtime.tasks.registry import RECORDS
from runtime.tile import Pixels

SHAPES_PX = ((128, 512), (128, 1024))
SHIFT_PX, NOISE, PEDESTAL = (3, -5), 0.5, 1000.0
CONFIG = Path(__file__).resolve().parents[1] / "export/configs/match_small.toml"
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
GATE_PX = 12
STRIPS = "strips.npy"
WARM_UPS, OPENED_RUNS = 2, 3
ALONE, BESIDE, FIRST, AGAIN = "alone", "beside a classifier", "auto, first time", "auto, later"
CLASSIFIER = "mussel-tissue"

Match = Callable[[StripPair], object]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one matching took."""

    wall_ms: float
    cpu_ms: float


class Device:
    """A bundle's network as the ladder asks it, run in one chosen way."""

    def __init__(self, network: Path, choice: Choice, *, threads: int) -> None:
        keys = models_of(network).folder / "keys"
        self._matcher = StripMatcher(
            open_model(network, keys=keys, tasks=RECORDS, threads=threads, choice=choice)
        )
        self.shape_px = self._matcher.shape_px

    def find(self, first: Pixels, second: Pixels) -> Points:
        """Return the places that look alike in two strips of a window's size."""
        found = self._matcher.match(first, second)
        return found.first_px, found.second_px

    def match(self, pair: StripPair) -> Points:
        """Return them in strips of any length."""
        return cells(pair, self)


class Torch:
    """The LoFTR of the configuration in PyTorch, on what the device's network is shown."""

    def __init__(self) -> None:
        import torch

        from export.networks.loftr.network import Loftr
        from export.tasks.match.config import read_match_config

        config = read_match_config(CONFIG)
        self._torch, self._network = torch, Loftr(config.network).eval()
        height_px, width_px = config.packed.shape
        self._shown = StripInput(height_px=height_px, width_px=width_px)

    def match(self, pair: StripPair) -> list[object]:
        """Return what the network says, window by window."""
        told = []
        for left in range(0, pair.a.shape[1], self._shown.width_px):
            window = np.s_[:, left : left + self._shown.width_px]
            (inputs,) = self._shown.inputs([pair.a[window], pair.b[window]], _no_array).values()
            with self._torch.inference_mode():
                told.append(self._network(*self._torch.from_numpy(inputs).split(1)))
        return told


def _no_array(name: str) -> NDArray[np.float32]:
    raise KeyError(name)


def strips(specimen: Specimen, shape_px: tuple[int, int]) -> StripPair:
    """Return two strips of the middle of a specimen, 16 bit, off by a few pixels."""
    rng = np.random.default_rng(0)
    height, width = shape_px
    top, left = (
        size // 2 - side // 2 for size, side in zip(specimen.grey.shape, shape_px, strict=True)
    )
    noise = NOISE * specimen.signal_grey

    def seen(down: int, right: int) -> Pixels:
        y, x = top + down, left + right
        grey = specimen.grey[y : y + height, x : x + width] + rng.normal(0, noise, shape_px)
        return np.clip(np.rint(COUNTS_PER_GREY * grey + PEDESTAL), 0, 65535).astype(np.uint16)

    return paired(seen(0, 0), seen(*SHIFT_PX))


def paired(a: Pixels, b: Pixels) -> StripPair:
    """Return two strips as crops of tiles that the stage says to lie alike."""
    return StripPair(a, b, (0, 0), (0, 0), (0.0, 0.0), GATE_PX)


def choices(network: Path) -> dict[str, Choice]:
    """Return every way to run a bundle here, by name."""
    bundle = open_bundle(network, keys=models_of(network).folder / "keys", tasks=RECORDS)
    return {
        f"network, {backend} {precision}": Choice(backend=backend, precision=precision)
        for backend in backends()
        for precision in bundle.manifest.networks.models
    }


def peers(asked: argparse.Namespace) -> dict[str, Match]:
    """Return the matchers beside the network, by name."""
    from export.evaluate.matching.matchers import opened as matchers

    named = ["sift"]
    named += [f"xfeat={asked.xfeat}"] if asked.xfeat else []
    named += [f"loftr-coarse={asked.coarse}"] if asked.coarse else []
    others = {one.name: _of_strips(one.match) for one in matchers(named)}
    return {"the same, PyTorch fp32": Torch().match} | others


def _of_strips(match: Callable[[TilePair], object]) -> Match:
    """Return a matcher of tiles as one of strips."""
    return lambda pair: match(
        TilePair("a", "b", Facing(pair, None, None, Chance(tuple)), pair.a.shape)
    )


def times(asked: argparse.Namespace) -> None:
    """Print what each matcher takes, by number of threads and length of the strips."""
    import torch

    specimen = Specimen.read(SECTION)
    for threads in asked.threads:
        cv2.setNumThreads(threads)
        torch.set_num_threads(threads)
        device = {} if asked.network is None else choices(asked.network)
        ways: dict[str, Match] = {
            name: Device(asked.network, choice, threads=threads).match
            for name, choice in device.items()
        }
        ways |= peers(asked)
        for shape_px in SHAPES_PX:
            taken = by_turns(ways, strips(specimen, shape_px), rounds=asked.rounds)
            print_times(
                f"{shape_px[0]} x {shape_px[1]} px, threads: {threads}", taken, list(device)
            )


def by_turns(ways: dict[str, Match], pair: StripPair, *, rounds: int) -> dict[str, list[Taken]]:
    """Return what every way took in every round."""
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for round_ in range(WARM_UPS + rounds):
        for name, match in ways.items():
            wall_s, cpu_s = perf_counter(), process_time()
            match(pair)
            cpu_ms, wall_ms = (process_time() - cpu_s) * 1e3, (perf_counter() - wall_s) * 1e3
            if round_ >= WARM_UPS:
                taken[name].append(Taken(wall_ms=wall_ms, cpu_ms=cpu_ms))
    return taken


def print_times(title: str, taken: dict[str, list[Taken]], device: list[str]) -> None:
    """Print medians, and ratios to the cheapest of the device's ways, else of all."""
    cpu_ms = {name: [one.cpu_ms for one in runs] for name, runs in taken.items()}
    base = min(device or taken, key=lambda name: median(cpu_ms[name]))
    print(f"\n{title}\n{'':34}{'wall, ms':>10}{'cpu, ms':>10}{'ratio':>8}")
    for name, runs in taken.items():
        ratio = median(own / of for own, of in zip(cpu_ms[name], cpu_ms[base], strict=True))
        wall_ms = median(one.wall_ms for one in runs)
        print(f"{name:34}{wall_ms:10.1f}{median(cpu_ms[name]):10.1f}{ratio:8.2f}", flush=True)


def memory(asked: argparse.Namespace) -> None:
    """Print what opening and running the network adds to a process."""
    print(f"\n{'megabytes added':34}{BESIDE:>22}{ALONE:>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair = strips(Specimen.read(SECTION), SHAPES_PX[-1])
        np.save(folder / STRIPS, np.stack([pair.a, pair.b]))
        for way in choices(asked.network):
            beside, alone = (child_mb(asked, state, way, folder) for state in (BESIDE, ALONE))
            print(f"{way:34}{beside:22.0f}{alone:10.0f}", flush=True)
        for state in (FIRST, AGAIN):
            print(f"{state:34}{child_mb(asked, state, '', folder):32.0f}", flush=True)


def child_mb(asked: argparse.Namespace, state: str, way: str, folder: Path) -> float:
    """Return the median over the rounds of what a process of its own grew by."""
    command = [sys.executable, __file__, "--network", str(asked.network), "--grown", state, way]
    command += ["--folder", str(folder)]
    rounds = 1 if state == FIRST else min(asked.rounds, 3)
    ran = [subprocess.run(command, check=True, capture_output=True) for _ in range(rounds)]
    return median(float(one.stdout) for one in ran)


def grown_mb(asked: argparse.Namespace) -> float:
    """Return by how much this process's peak exceeds what it held before it had the network."""
    state, way = asked.grown
    pair = paired(*np.load(asked.folder / STRIPS))
    # Whatever stitches has compiled kernels loaded.
    flattened(pair.a)
    held = []
    if state == BESIDE:
        choice = Choice(backend=choices(asked.network)[way].backend, precision="int8")
        path, keys = find_bundle(SHIPPED_MODELS, CLASSIFIER), SHIPPED_MODELS / "keys"
        held.append(open_model(path, keys=keys, tasks=RECORDS, threads=1, choice=choice))
    # From here on the peak is that of what follows.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before_mb = status_mb("VmRSS")
    match = opened(asked.network, state, way, cache=asked.folder)
    for _ in range(OPENED_RUNS):
        match(pair)
    return status_mb("VmHWM") - before_mb


def opened(network: Path, state: str, way: str, *, cache: Path) -> Match:
    """Return the network, ready on one thread."""
    if state in (BESIDE, ALONE):
        return Device(network, choices(network)[way], threads=1).match
    finder = finder_of(network, ModelsSection(folder=models_of(network).folder, cache=cache))
    return lambda pair: cells(pair, finder)


def status_mb(field: str) -> float:
    """Return what the kernel says of this process's memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Print the processor, the tables of times, and the table of memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--network", type=Path, metavar="BUNDLE", default=shipped())
    parser.add_argument("--xfeat", type=Path, metavar="WEIGHTS")
    parser.add_argument("--coarse", type=Path, metavar="WEIGHTS")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["times", "memory"])
    parser.add_argument("--grown", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.grown is not None:
        print(grown_mb(asked))
        return
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    print(processor(), "with", ", ".join(one for one in FEATURES if one in flags))
    if asked.only != "memory":
        times(asked)
    if asked.only != "times" and asked.network is not None:
        memory(asked)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
