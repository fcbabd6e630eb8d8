"""What the image's scripts take out of it, share, and bring along."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "runtime/appliance/units"
SLIM, ONE_BLAS, START = (UNITS / f"{name}.sh" for name in ("slim", "one_blas", "start"))


def test_the_image_loses_what_is_never_used_and_nothing_else(tmp_path):
    packages = tmp_path / "lib/python3.11/site-packages"
    kept = [
        "openvino/libs/libopenvino_intel_cpu_plugin.so",
        "openvino/libs/libopenvino_onnx_frontend.so.2641",
        "onnxruntime/capi/libonnxruntime_providers_shared.so",
        "scipy/sparse/__init__.py",
        "openvino/frontend/onnx/__init__.py",
        "openvino/libs/libopenvino_ir_frontend.so.2641",
        "pygments/lexers/__init__.py",
        "numba/np/ufunc/workqueue.cpython-311-x86_64-linux-gnu.so",
        "numpy/f2py/__init__.py",
        "numpy/testing/tests.py",
        "runtime/cli/verbs.py",
    ]
    lost = [
        "openvino/libs/libopenvino_intel_gpu_plugin.so",
        "openvino/libs/libopenvino_pytorch_frontend.so.2641",
        "openvino/libs/libopenvino_c.so.2641",
        "openvino/frontend/pytorch/__init__.py",
        "onnxruntime/capi/libonnxruntime.so.1.32.0",
        "onnxruntime/transformers/__init__.py",
        "apprise/i18n/de/LC_MESSAGES/apprise.mo",
        "pygments/lexers/basic.py",
        "numba/np/ufunc/tbbpool.cpython-311-x86_64-linux-gnu.so",
        "numba/tests/test_all.py",
        "numpy/_core/include/numpy/arrayobject.h",
        "runtime/__pycache__/tile.cpython-311.pyc",
        "scipy/stats/__init__.py",
        "scipy/sparse/tests/test_all.py",
        "export/__main__.py",
    ]
    for name in (*kept, *lost):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    subprocess.run(["sh", SLIM, tmp_path], check=True)
    left = {str(f.relative_to(packages)) for f in packages.rglob("*") if f.is_file()}
    assert left == set(kept)
    image = (ROOT / "Dockerfile").read_text()
    for script in (SLIM, ONE_BLAS, START, UNITS / "system.sh"):
        assert f"COPY --chmod=755 {script.relative_to(ROOT)} /usr/local/bin/" in image


EVERYTHING = """
import importlib, pkgutil, sys
for top in map(importlib.import_module, ("calibration", "firmware_bridge", "runtime")):
    for module in pkgutil.walk_packages(top.__path__, top.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(*sys.modules)
"""


@pytest.mark.slow
def test_no_module_here_imports_what_the_image_loses():
    """The image's own build imports all of them, too; not every machine can build it."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {".".join(name.split(".")[:2]) for name in done.stdout.split()}
    parts = re.search(r"for part in (datasets .*?); do", SLIM.read_text(), re.DOTALL)
    assert parts is not None
    lost = {f"scipy.{part}" for part in parts[1].replace("\\", "").split()}
    assert {"scipy.stats", "scipy.optimize"} < lost
    assert "scipy.sparse" in loaded
    assert not lost & loaded


compiles = pytest.mark.skipif(
    not all(map(shutil.which, ("cc", "as", "ld", "nm"))), reason="no compiler is installed"
)


@pytest.fixture
def two_blas(tmp_path):
    """An environment in which OpenCV and SciPy have a BLAS each: one answers 1, the other 7."""
    packages = tmp_path / "lib/python3.11/site-packages"
    theirs, ours, cv = (
        packages / name for name in ("opencv_python_headless.libs", "scipy.libs", "cv2")
    )
    for folder in (theirs, ours, cv):
        folder.mkdir(parents=True)

    def library(path, code, *more):
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{path.name}", "-o", path]
        subprocess.run([*command, "-x", "none", *more], input=code, text=True, check=True)

    own = theirs / "libopenblasp-r0-1.so"
    library(own, "int dgesv_(int *n) { return *n; } int never_(void) { return 0; }")
    library(ours / "libscipy_openblas-2.so", "int scipy_dgesv_(int *n) { return *n + 6; }")
    beside = "-Wl,-rpath,$ORIGIN/../opencv_python_headless.libs"
    calls = "int dgesv_(int *); int solved(void) { int n = 1; return dgesv_(&n); }"
    library(cv / "cv2.abi3.so", calls, own, beside)
    return tmp_path, packages


@compiles
def test_opencv_calls_the_blas_of_scipy(two_blas):
    environment, packages = two_blas
    (packages / "opencv_python_headless.libs/libgfortran-3.so.5.0.0").touch()
    subprocess.run(["sh", ONE_BLAS, environment], check=True)
    assert ctypes.CDLL(str(packages / "cv2/cv2.abi3.so")).solved() == 7
    left = [file.name for file in (packages / "opencv_python_headless.libs").iterdir()]
    assert left == ["libopenblasp-r0-1.so"]


@compiles
def test_a_routine_that_scipys_blas_has_not_ends_the_build(two_blas):
    environment, packages = two_blas
    theirs = packages / "opencv_python_headless.libs/libopenblasp-r0-1.so"
    shutil.copy(theirs, packages / "scipy.libs/libscipy_openblas-2.so")
    before = theirs.read_bytes()
    done = subprocess.run(
        ["sh", ONE_BLAS, environment], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "scipy_dgesv_" in done.stderr
    assert theirs.read_bytes() == before


def test_numpy_and_scipy_share_one_fortran(tmp_path):
    packages = tmp_path / "lib/python3.11/site-packages"
    for name in ("numpy.libs/libgfortran-1.so.5.0.0", "scipy.libs/libgfortran-2.so.5.0.0"):
        (packages / name).parent.mkdir(parents=True)
        (packages / name).write_text(name)
    subprocess.run(["sh", ONE_BLAS, tmp_path], check=True)
    assert (packages / "scipy.libs/libgfortran-2.so.5.0.0").read_text().startswith("numpy.libs")


@pytest.fixture
def started(tmp_path):
    """How the image starts on a machine whose state lies below `tmp_path`; returns what was run."""
    programs, made, state = (tmp_path / name for name in ("bin", "made", "state"))
    for folder in (programs, made / "numba", state):
        folder.mkdir(parents=True)
    (programs / "nightscope").write_text('#!/bin/sh\necho "nightscope $*"\n')
    (programs / "nightscope").chmod(0o755)
    (made / "image").write_text("one")
    (made / "numba/kernel").write_text("compiled with image one")
    places = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(state / "tmp"),
        "XDG_CACHE_HOME": str(state / "cache"),
        "NIGHTSCOPE_COMPILED": str(made),
    }

    def start(**changed):
        return subprocess.run(
            ["sh", START, "runs", "runs"],
            env=places | changed,
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_an_empty_state_folder_gets_what_was_compiled_with_the_image(started, tmp_path):
    done = started()
    assert (done.returncode, done.stdout, done.stderr) == (0, "nightscope runs runs\n", "")
    kernel = tmp_path / "state/cache/numba/kernel"
    assert kernel.read_text() == "compiled with image one"
    kernel.write_text("compiled here")
    started()
    assert kernel.read_text() == "compiled here"  # the same image brings nothing twice


def test_a_new_image_brings_its_own_kernels_whole(started, tmp_path):
    started()
    (tmp_path / "state/cache/numba/old").write_text("compiled here")
    (tmp_path / "made/image").write_text("two")
    (tmp_path / "made/numba/kernel").write_text("compiled with image two")
    started()
    kept = tmp_path / "state/cache/numba"
    assert [file.name for file in kept.iterdir()] == ["kernel"]
    assert (kept / "kernel").read_text() == "compiled with image two"
    assert sorted(file.name for file in (tmp_path / "state").iterdir()) == ["cache", "tmp"]


def test_a_state_folder_that_cannot_be_written_starts_all_the_same(started, tmp_path):
    (tmp_path / "file").touch()
    done = started(XDG_CACHE_HOME=str(tmp_path / "file/cache"), TMPDIR=str(tmp_path / "file/tmp"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "nightscope runs runs\n", "")
