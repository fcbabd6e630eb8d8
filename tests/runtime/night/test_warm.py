"""No tile of a night waits for a compiler."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

CLASSIFIED = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from runtime.night.run import warm_kernels
from runtime.preprocess import lbp_kernel, texture_kernel
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tile import Picture
from runtime.config.settings import SHIPPED_MODELS
from runtime.inference.bundle import find_bundle

def known():
    loops = [one for of in (lbp_kernel, texture_kernel) for one in vars(of).values()]
    return {one.__name__: len(one.signatures) for one in loops if isinstance(one, Dispatcher)}

bundle = find_bundle(SHIPPED_MODELS, "mussel-tissue")
classifier = TileClassifier.open(bundle, keys=SHIPPED_MODELS / "keys", backend="onnxruntime")
warm_kernels()
before = known()
size_um = classifier.pixel_size_um
classifier.classify(Picture(pixels=np.zeros((512, 640), np.uint16), pixel_size_um=size_um))
assert known() == before, known()
"""


@pytest.mark.slow
def test_what_the_guard_counts_is_compiled_before_the_first_tile():
    subprocess.run([sys.executable, "-c", CLASSIFIED], cwd=ROOT, check=True)
