"""A file's scale is what it says, and nothing where it says none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import mrcfile
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.pixel_size import pixel_size_um, refuse_other_size

GREY = np.arange(1200, dtype=np.uint16).reshape(30, 40)


def ome(x: float, y: float, unit: str) -> Callable[[Path], object]:
    sizes = {
        "axes": "YX",
        "PhysicalSizeX": x,
        "PhysicalSizeY": y,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeYUnit": unit,
    }
    return lambda path: tifffile.imwrite(path, GREY, ome=True, metadata=sizes)


def resolved(per: float, unit: str, **how: object) -> Callable[[Path], object]:
    return lambda path: tifffile.imwrite(
        path, GREY, resolution=(per, per), resolutionunit=unit, **how
    )


def mrc(angstrom: float) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with mrcfile.new(path) as file:
            file.set_data(GREY)
            file.voxel_size = angstrom

    return write


SAYS: dict[str, tuple[str, Callable[[Path], object], float | None]] = {
    "OME": ("a.ome.tif", ome(0.325, 0.325, "µm"), 0.325),
    "OME in nm": ("a.ome.tif", ome(4.0, 4.0, "nm"), 0.004),
    "OME oblong": ("a.ome.tif", ome(0.3, 0.4, "µm"), None),
    "OME in inches": ("a.ome.tif", ome(0.3, 0.3, "in"), None),
    "OME without": ("a.ome.tif", lambda path: tifffile.imwrite(path, GREY, ome=True), None),
    "ImageJ": (
        "a.tif",
        resolved(4.0, "NONE", imagej=True, metadata={"unit": "micron"}),
        0.25,
    ),
    "ImageJ in pixels": ("a.tif", resolved(1.0, "NONE", imagej=True), None),
    "per centimetre": ("a.tif", resolved(20_000.0, "CENTIMETER"), 0.5),
    "a printer's, per centimetre": ("a.tif", resolved(118.11, "CENTIMETER"), None),
    "per inch": ("a.tif", resolved(300.0, "INCH"), None),
    "plain TIFF": ("a.tif", lambda path: tifffile.imwrite(path, GREY), None),
    "MRC": ("a.mrc", mrc(40.0), 0.004),
    "MRC unset": ("a.mrc", mrc(1.0), None),
    "PNG": ("a.png", lambda path: cv2.imwrite(str(path), GREY), None),
    "damaged": ("a.tif", lambda path: path.write_bytes(b"II*\0"), None),
}


def test_another_size_than_the_one_given_is_refused_by_who_gave_it(tmp_path: Path) -> None:
    ome(0.325, 0.325, "µm")(tmp_path / "a.ome.tif")
    refuse_other_size(tmp_path / "a.ome.tif", given_um=0.3251, by="the settings")
    with pytest.raises(InputRefused, match=r"than the settings; value 0.325 µm; limit 0.65 µm"):
        refuse_other_size(tmp_path / "a.ome.tif", given_um=0.65, by="the settings")


@pytest.mark.parametrize("name", SAYS)
def test_the_scale_is_what_the_file_says(tmp_path: Path, name: str) -> None:
    file, write, expected = SAYS[name]
    write(tmp_path / file)
    found = pixel_size_um(tmp_path / file)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-4))
