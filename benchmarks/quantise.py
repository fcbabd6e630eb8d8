"""Three quantisers on the same fp32 model and calibration tiles: ours, ONNX Runtime's own, NNCF's.

Networks: the compact ones of the shipped bundle, on patches of the mussel section that they were
not trained on and a whole section they never saw; and every folder written by `nightscope export
train`, on its own validation and test specimens. All quantisers leave the same fp32 tail. Prints
one JSON line a network and quantiser: of images how many are decided as in fp32, the mean and the
largest difference of a score, both back ends' median milliseconds a tile (all quantisers by turns,
tile by tile) and their ratio's median to fp32's, kilobytes as ONNX and as OpenVINO IR, seconds to
quantise; or why a quantiser failed. NNCF is no dependency of ours: without `--nncf-python`, a
Python that has it, it is left out.

    python -m venv nncf && nncf/bin/pip install nncf onnx onnxruntime openvino
    python benchmarks/quantise.py --nncf-python nncf/bin/python
    python benchmarks/quantise.py --trained DIR --config TOML --data DIR
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from export.config.data import SectionsData
from export.config.training import read_config
from export.convert.ir import to_ir
from export.convert.parts import VOTE, ModelParts
from export.datasets.prepared import PreparedViews
from export.datasets.reading import PreparedSplit, prepare_parts, read_data
from export.quantise import to_int8
from export.quantise.integer import fp32_tail
from export.texture.lbp_table import stored_table
from runtime.config.settings import SHIPPED_MODELS
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import find_bundle, open_bundle
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES
from runtime.tasks.registry import RECORDS

CONFIG = Path(__file__).resolve().parents[1] / "export/configs/mussel_tissue.toml"
NNCF = Path(__file__).resolve().parent / "peers/nncf_ptq.py"
THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """An fp32 model, the tiles that calibrate, and views of images that judge: their classes
    (views,), and the image (views,) that each was cut from.
    """

    name: str
    parts: ModelParts
    examples: list[Inputs]
    views: list[Inputs]
    target: NDArray[np.int64]
    image: NDArray[np.int64]

    @property
    def fp32(self) -> bytes:
        """The whole model."""
        return self.parts.joined()

    def decisions(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the (images,) classes that the views' (views, classes) scores favour together."""
        sums = np.zeros((int(self.image.max()) + 1, scores.shape[1]))
        np.add.at(sums, self.image, scores)
        return np.asarray(sums.argmax(axis=1))

    def kept(self) -> list[str]:
        """Return the nodes of the whole model that every quantiser leaves in fp32."""
        graph = onnx.load_model_from_string(self.fp32).graph
        classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
        return sorted(fp32_tail(graph, classes=classes))


def main() -> None:
    """Print one JSON line a network and quantiser."""
    asked = _arguments()
    logging.getLogger().setLevel(logging.ERROR)
    cases = [_trained(folder, asked) for folder in asked.trained] or [_shipped(asked.tiles)]
    for case in cases:
        models, seconds = {"fp32": case.fp32}, {}
        for name, quantiser in _quantisers(asked.nncf_python).items():
            start = perf_counter()
            try:
                models[name], took = quantiser(case)
            except subprocess.CalledProcessError as error:
                reason = error.stderr.strip().splitlines()[-1]
                print(json.dumps({"network": case.name, "quantiser": name, "failed": reason}))
                continue
            seconds[name] = took or perf_counter() - start
        for row in _rows(case, models, seconds, pairs=asked.pairs):
            print(json.dumps(row), flush=True)


Quantiser = Callable[[Case], tuple[bytes, float | None]]


def _quantisers(nncf_python: Path | None) -> dict[str, Quantiser]:
    """Return what gives an int8 model and, where it knows better, the seconds that took."""
    found: dict[str, Quantiser] = {"ours": _ours}
    for method in ("MinMax", "Entropy", "Percentile"):
        found[f"onnxruntime {method}"] = partial(_stock, method=CalibrationMethod[method])
    if nncf_python is not None:
        for biases in ("fast", "exact"):
            found[f"nncf {biases}"] = partial(_nncf, python=nncf_python, biases=biases)
    return found


def _ours(case: Case) -> tuple[bytes, None]:
    return to_int8(case.parts, case.examples), None


def _stock(case: Case, *, method: CalibrationMethod) -> tuple[bytes, None]:
    """Return what the library makes of the whole model, as its own guide has it for such CPUs."""
    with tempfile.TemporaryDirectory() as name:
        prepared, out = Path(name) / "prepared.onnx", Path(name) / "int8.onnx"
        whole = onnx.load_model_from_string(case.fp32)
        quant_pre_process(whole, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            out,
            _Tiles(case.examples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=case.kept(),
            calibrate_method=method,
        )
        return out.read_bytes(), None


class _Tiles:
    """What ONNX Runtime reads tiles from."""

    def __init__(self, examples: list[Inputs]) -> None:
        self._left = iter(examples)

    def get_next(self) -> Inputs | None:
        return next(self._left, None)


def _nncf(case: Case, *, python: Path, biases: str) -> tuple[bytes, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fp32.onnx").write_bytes(case.fp32)
        names = case.examples[0]
        tiles: Any = {n: np.concatenate([one[n] for one in case.examples]) for n in names}
        np.savez(folder / "tiles.npz", **tiles)
        (folder / "kept.txt").write_text("\n".join(case.kept()), encoding="utf-8")
        files = [folder / one for one in ("fp32.onnx", "tiles.npz", "int8.onnx", "kept.txt")]
        ran = subprocess.run(
            [python, NNCF, *files, biases], check=True, capture_output=True, text=True
        )
        seconds = json.loads(ran.stdout.splitlines()[-1])["seconds"]
        return (folder / "int8.onnx").read_bytes(), float(seconds)


def _rows(
    case: Case, models: dict[str, bytes], seconds: dict[str, float], *, pairs: int
) -> Iterator[dict[str, Any]]:
    times = {backend: _times_s(case, models, backend, pairs=pairs) for backend in backends()}
    scores = {
        (name, backend): _scores(model, case, backend)
        for name, model in models.items()
        for backend in backends()
    }
    first = backends()[0]
    truth = case.target[np.unique(case.image, return_index=True)[1]]
    for name, model in models.items():
        ir = to_ir(model)
        row: dict[str, Any] = {"network": case.name, "quantiser": name, "images": len(truth)}
        for backend in backends():
            fp32, found = scores["fp32", first], scores[name, backend]
            off, decided = np.abs(found - fp32), case.decisions(found)
            taken, whole = times[backend][name], times[backend]["fp32"]
            row[backend] = {
                "alike": int((decided == case.decisions(fp32)).sum()),
                "right": int((decided == truth).sum()),
                "mean_off": round(float(off.mean()), 5),
                "largest_off": round(float(off.max()), 4),
                "ms": round(median(taken) * 1e3, 2),
                "of_fp32": round(median(a / b for a, b in zip(taken, whole, strict=True)), 3),
            }
        row["kb"], row["ir_kb"] = len(model) // 1000, (len(ir.xml) + len(ir.weights)) // 1000
        row["seconds"] = round(seconds.get(name, 0.0), 1)
        yield row


def _scores(model: bytes, case: Case, backend: Any) -> NDArray[np.float32]:
    session = open_session(model, backend=backend, threads=THREADS)
    return np.stack([session.run(view)[SCORES][0] for view in case.views])


def _times_s(
    case: Case, models: dict[str, bytes], backend: Any, *, pairs: int
) -> dict[str, list[float]]:
    """Return by model the seconds of each tile, the models by turns on every one."""
    sessions = {
        name: open_session(model, backend=backend, threads=THREADS)
        for name, model in models.items()
    }
    times: dict[str, list[float]] = {name: [] for name in models}
    for session in sessions.values():
        session.run(case.views[0])
    for view in islice(cycle(case.views), pairs):
        for name, session in sessions.items():
            start = perf_counter()
            session.run(view)
            times[name].append(perf_counter() - start)
    return times


def _shipped(tiles: int) -> Case:
    """Return the shipped networks, on patches drawn as they were for their training."""
    path, keys = find_bundle(SHIPPED_MODELS, "mussel-tissue"), SHIPPED_MODELS / "keys"
    model = open_bundle(path, keys=keys, tasks=RECORDS)
    config = read_config(CONFIG)
    assert isinstance(config.data, SectionsData)
    fewer = config.data.model_copy(update={"train_patches": tiles})
    config = config.model_copy(update={"data": fewer})
    data = read_data(config, None, base=CONFIG.parent, seed=0)
    prepared = prepare_parts(data, config.spec(), stored_table().coordinates)
    return _case("compact (shipped)", model.files["fp32.onnx"], prepared, tiles)


def _trained(folder: Path, asked: argparse.Namespace) -> Case:
    about = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    config, (seed,) = read_config(asked.config), about["origin"]["training"]["seeds"]
    data = read_data(config, asked.data, base=asked.config.parent, seed=seed)
    prepared = prepare_parts(data, config.spec(), stored_table().coordinates)
    name, fp32 = f"{about['name']}, seed {seed}", (folder / "fp32.onnx").read_bytes()
    return _case(name, fp32, prepared, asked.tiles)


def _case(name: str, fp32: bytes, prepared: PreparedSplit, tiles: int) -> Case:
    """Return the case of one model: unseen specimens judge, whatever they were unseen for."""
    unseen = (prepared.validation, prepared.test)
    images = len(prepared.validation.images)
    return Case(
        name=name,
        parts=_parts(fp32),
        examples=_spread(prepared.train, tiles),
        views=[part.inputs(view) for part in unseen for view in range(len(part.image))],
        target=np.concatenate([part.target for part in unseen]),
        image=np.concatenate([prepared.validation.image, prepared.test.image + images]),
    )


def _spread(train: PreparedViews, count: int) -> list[Inputs]:
    """Return that many training views spread evenly, each in an orientation of its own."""
    views, ways = len(train), len(train.shown)
    chosen = np.unique(np.linspace(0, views - 1, count).round().astype(int))
    return [train.inputs(int(view), int(view) % ways) for view in chosen]


def _parts(fp32: bytes) -> ModelParts:
    """Return a whole model cut at its votes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(fp32))
    entries = [one.name for one in graph.graph.input]
    made = [name for node in graph.graph.node for name in node.output]
    votes = [name for name in made if name.startswith(VOTE)]
    cutter = onnx.utils.Extractor(graph)

    def part(inputs: list[str], output: str) -> bytes:
        return bytes(cutter.extract_model(inputs, [output]).SerializeToString())

    return ModelParts(
        streams={
            vote.removeprefix(VOTE): part(
                [one for one in entries if vote.removeprefix(VOTE).split(":")[-1] == one], vote
            )
            for vote in votes
        },
        tail=part(votes, SCORES),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", nargs="*", type=Path, default=[], metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="TOML", help="what they were trained with")
    parser.add_argument("--data", type=Path, metavar="DIR", help="what they were trained on")
    parser.add_argument("--nncf-python", type=Path, metavar="FILE")
    parser.add_argument("--tiles", type=int, default=128, help="how many calibrate")
    parser.add_argument("--pairs", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
