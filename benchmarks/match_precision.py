"""What coarser numbers cost a matching network: its fp32 against its int8, and against bf16.

Pairs of strips as in training's validation (the configuration's own specimens from the folder
`--data`, else made textures), of which it is known where every cell lies, judged as the export
judges int8: the share of visible cells that is matched to 3 px, the share of matches that is right
to 3 px, and of those to 1 px.

OpenVINO computes in bf16 only where the processor can, and elsewhere in fp32 without a word; which
is said. So bf16 is emulated, on ONNX Runtime: values are rounded to its 8 bits of mantissa, either
what goes into convolutions and products of matrices and comes out of them, or every value there is.
A processor adds up in fp32, and so is it here. How fast it would be is not known from that.

    python benchmarks/match_precision.py --network match.nsb --data ../shared/data [--pairs 96]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ladder import models_of, shipped
from onnx import TensorProto, helper, shape_inference

from export.tasks.match.build import StripViews
from export.tasks.match.config import read_match_config
from export.tasks.match.data import read_pairs
from export.tasks.match.judge import measure
from runtime.inference.backends import backends
from runtime.inference.bundle import open_bundle
from runtime.inference.processor import processor
from runtime.inference.session import Outputs
from runtime.preprocess.inputs import Inputs
from runtime.tasks.registry import RECORDS

CONFIG = Path(__file__).resolve().parents[1] / "export/configs/match_small.toml"
PRODUCTS = frozenset({"Conv", "MatMul"})


def rounded(model: bytes, kinds: frozenset[str] | None) -> bytes:
    """Return an ONNX graph in which what nodes of some kinds take and give, all by default, is
    rounded to bf16.
    """
    graph = shape_inference.infer_shapes(onnx.load_from_string(model), strict_mode=True)
    floats = _floats(graph)
    nodes: list[onnx.NodeProto] = []
    known: dict[str, str] = {}
    for node in graph.graph.node:
        chosen = kinds is None or node.op_type in kinds
        for index, name in enumerate(node.input):
            if chosen and name in floats:
                if name not in known:
                    known[name] = f"{name}/bf16"
                    nodes += _through_bf16(name, known[name])
                node.input[index] = known[name]
        nodes.append(node)
        for index, name in enumerate(node.output):
            if chosen and name in floats:
                node.output[index] = f"{name}/exact"
                nodes += _through_bf16(f"{name}/exact", name)
                # What is rounded once need not be again.
                known[name] = name
    del graph.graph.node[:], graph.graph.value_info[:]
    graph.graph.node.extend(nodes)
    return graph.SerializeToString()


def _floats(model: onnx.ModelProto) -> set[str]:
    """Return the names of all values of 32 bits."""
    graph = model.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    return {one.name for one in graph.initializer if one.data_type == TensorProto.FLOAT} | {
        one.name for one in values if one.type.tensor_type.elem_type == TensorProto.FLOAT
    }


def _through_bf16(name: str, result: str) -> list[onnx.NodeProto]:
    half = f"{result}/half"
    return [
        helper.make_node("Cast", [name], [half], to=TensorProto.BFLOAT16),
        helper.make_node("Cast", [half], [result], to=TensorProto.FLOAT),
    ]


def answers(model: bytes, views: list[Inputs]) -> Outputs:
    """Return what a graph says of every pair, one below the other."""
    options = onnxruntime.SessionOptions()
    # Optimised, two casts there and back would be none.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    told = [session.run(names, view) for view in views]
    return {name: np.concatenate([one[index] for one in told]) for index, name in enumerate(names)}


def native() -> str:
    """Return in words what OpenVINO makes of the wish for bf16 on this processor."""
    if "openvino" not in backends():
        return "OpenVINO is not installed"
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "OpenVINO computes in bf16 here" if "BF16" in able else "OpenVINO has no bf16 here"


def main() -> None:
    """Print one line for every precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--network", type=Path, metavar="BUNDLE", default=shipped())
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=96)
    asked = parser.parse_args()
    print(f"{processor()}: {native()}")
    if asked.network is None:
        print("no network is shipped; name one by --network")
        return
    keys = models_of(asked.network).folder / "keys"
    bundle = open_bundle(asked.network, keys=keys, tasks=RECORDS)
    exact = {name: bundle.files[file] for name, file in bundle.manifest.networks.models.items()}
    models = exact | {
        "bf16, products": rounded(exact["fp32"], PRODUCTS),
        "bf16, everything": rounded(exact["fp32"], None),
    }
    config = read_match_config(CONFIG)
    if asked.data is None:
        none = config.data.model_copy(update={"train": (), "validation": ()})
        config = config.model_copy(update={"data": none})
    pairs = read_pairs(config, asked.data, seed=0).of_shape(config.packed.shape)
    views = StripViews(pairs.validation, asked.pairs)
    shown, places_px = list(views), views.places_px()
    print(f"{'':20}{'matched':>10}{'precision':>12}{'within 1 px':>14}")
    for name, model in models.items():
        found = measure(answers(model, shown), places_px, columns=config.packed.cells[1])
        cells = (found[key] for key in ("matched", "precision", "within_1px"))
        print(f"{name:20}" + "{:10.3f}{:12.3f}{:14.3f}".format(*cells), flush=True)


if __name__ == "__main__":
    main()
