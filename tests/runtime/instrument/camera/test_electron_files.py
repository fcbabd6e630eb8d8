"""Files of electron microscopes' own programs: read where ncempy is, else refused by name."""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.electron_files import berkeley, gatan, ser, velox
from runtime.errors import InputRefused
from runtime.instrument.camera.electron_file import read_electron
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.hdf5_file import HEAP_BEGIN
from runtime.instrument.camera.pixel_size import pixel_size_um

GREY = np.random.default_rng(5).integers(0, 60_000, (20, 28), dtype=np.uint16)

KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "DM3": ("a.dm3", lambda path: path.write_bytes(gatan(GREY))),
    "DM4": ("a.dm4", lambda path: path.write_bytes(gatan(GREY, version=4))),
    "SER": ("a.ser", lambda path: path.write_bytes(ser(GREY))),
    "HDF5": ("a.emd", lambda path: berkeley(path, GREY)),
    "HDF5 of Velox": ("a.emd", lambda path: velox(path, GREY)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_and_its_scale_are_read(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("ncempy")
    name, write = KINDS[kind]
    write(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), GREY)
    assert pixel_size_um(tmp_path / name) == pytest.approx(0.004)


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER"])
def test_without_the_reader_a_file_is_refused_by_its_format(tmp_path: Path, kind: str) -> None:
    if find_spec("ncempy") is not None:
        pytest.skip("ncempy reads it")
    name, write = KINDS[kind]
    write(tmp_path / name)
    with pytest.raises(InputRefused, match=rf"is a {kind} file.*nightscope\[formats\]"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER", "velox"])
def test_several_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("ncempy")
    if kind == "velox":
        velox(tmp_path / "a.emd", GREY, images=2)
    else:
        version = 4 if kind == "DM4" else 3
        forged = gatan(GREY, images=3, version=version)
        content = ser(GREY, images=2) if kind == "SER" else forged
        (tmp_path / "a.emd").write_bytes(content)
    with pytest.raises(InputRefused, match="holds several images; value 2"):
        read_image(tmp_path / "a.emd")


@pytest.mark.parametrize("kind", ["DM3", "DM4", "SER", "HDF5"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_part_of_a_file_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    pytest.importorskip("ncempy")
    name, write = KINDS[kind]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputRefused, match=name):
        read_image(path)


def test_a_file_is_let_go_of_while_its_picture_is_held(tmp_path: Path) -> None:
    """A reader that cannot close what it opened says so when it is collected, in a later test."""
    pytest.importorskip("ncempy")
    path = tmp_path / "a.dm3"
    path.write_bytes(gatan(GREY))
    held = read_image(path), read_electron(path, gatan(GREY))
    gc.collect()
    path.unlink()
    assert np.array_equal(held[0], held[1].values)


def test_hdf5_without_a_picture_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ncempy")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file["numbers"] = GREY
    with pytest.raises(InputRefused, match="without a picture that EMD describes"):
        read_image(tmp_path / "a.emd")


def broken_heap(path: Path) -> bytes:
    """Return a file whose list of texts comes to an entry without a length, and stays there."""
    velox(path, GREY)
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "a") as file:
        file.attrs["units"] = "nm"
    content = bytearray(path.read_bytes())
    heap = content.find(HEAP_BEGIN)
    content[heap + 24 : heap + 32] = (120).to_bytes(8, "little")
    return bytes(content)


def test_a_list_of_texts_without_an_end_is_refused(tmp_path: Path) -> None:
    """HDF5 itself would read it for ever."""
    pytest.importorskip("ncempy")
    path = tmp_path / "a.emd"
    path.write_bytes(broken_heap(path))
    with pytest.raises(InputRefused, match=r"a\.emd: damaged: the list of texts at .* no end"):
        read_image(path)


@pytest.mark.parametrize("where", ["Data/Image/0/Data", "data/picture/data", "data/picture/dim1"])
def test_a_small_file_that_promises_gigabytes_is_refused(tmp_path: Path, where: str) -> None:
    pytest.importorskip("ncempy")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.emd", "w") as file:
        for name in ("data", "dim1", "dim2"):
            file[f"data/picture/{name}"] = np.zeros((2, 2) if name == "data" else 2)
        if where in file:
            del file[where]
        file.create_dataset(where, (2**18, 2**18) if "dim" not in where else (2**36,), np.uint8)
        file["data/picture"].attrs["emd_group_type"] = 1
    with pytest.raises(InputRefused, match="becomes far more than it holds"):
        read_image(tmp_path / "a.emd")


def test_nothing_is_printed_of_a_damaged_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a library says there would be read as the table, or as JSON."""
    pytest.importorskip("ncempy")
    h5py = pytest.importorskip("h5py")
    berkeley(tmp_path / "a.emd", GREY)
    with h5py.File(tmp_path / "a.emd", "a") as file:
        del file["data/converted/dim1"]
    with pytest.raises(InputRefused, match="damaged"):
        read_image(tmp_path / "a.emd")
    assert capsys.readouterr() == ("", "")
