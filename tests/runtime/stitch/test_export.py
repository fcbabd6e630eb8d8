"""The finished mosaic as OME-TIFF and PNG."""

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from runtime.errors import InputRefused
from runtime.stitch.map.canvas import contrast_window
from runtime.stitch.map.export import write_ome_tiff, write_png
from runtime.stitch.map.mosaic import Mosaic
from runtime.tile import Placement
from tests.runtime.stitch.stitch_scans import SHAPE_PX, scan


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished mosaic, three chunks wide."""
    path = tmp_path_factory.mktemp("finished") / "map.ome.zarr"
    made = scan(rows=2, columns=2)
    mosaic = Mosaic(
        path,
        tile_shape_px=SHAPE_PX,
        pixel_size_um=0.5,
        dtype=np.uint16,
        name="night",
        simulated=True,
        bounds_px=(30.0, 30.0, 1100.0, 600.0),
    )
    places = {n: Placement(tile_id=n, x_px=x, y_px=y) for n, (x, y) in made.truth_px.items()}
    mosaic.settle(places, {tile.tile_id: tile.pixels for tile in made.tiles}.__getitem__)
    return path


WORDS = b"""<?xml version='1.0' encoding='utf-8'?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="1070" SizeY="570" SizeZ="1"
SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1" /><TiffData IFD="0"
PlaneCount="1" /></Pixels></Image></OME>"""


def test_ome_tiff_is_a_pyramid_that_says_what_it_is_told(tmp_path, finished):
    path = finished
    write_ome_tiff(path, tmp_path / "map.ome.tif", WORDS)
    group = zarr.open_group(str(path), mode="r")
    with tifffile.TiffFile(tmp_path / "map.ome.tif") as tiff:
        (series,) = tiff.series
        assert len(series.levels) == len(list(group.array_keys()))
        for index, level in enumerate(series.levels):
            assert np.array_equal(level.asarray(), np.asarray(group[str(index)][:]))
        assert tiff.ome_metadata == WORDS.decode()
        assert tiff.pages[0].is_tiled
        assert tiff.pages[0].compression != 1
    assert [file.name for file in tmp_path.iterdir()] == ["map.ome.tif"]


def test_a_wide_map_is_exported_band_by_band(tmp_path, monkeypatch, finished):
    path = finished
    write_ome_tiff(path, tmp_path / "once.ome.tif", WORDS)
    monkeypatch.setattr("runtime.stitch.map.export.READ_PX", 512)
    write_ome_tiff(path, tmp_path / "banded.ome.tif", WORDS)
    once, banded = (tifffile.imread(tmp_path / f"{n}.ome.tif") for n in ("once", "banded"))
    assert np.array_equal(once, banded)


def test_an_export_that_is_interrupted_leaves_the_one_before(tmp_path, monkeypatch, finished):
    path = finished
    (tmp_path / "map.ome.tif").write_bytes(b"before")

    def stops(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("runtime.stitch.map.export._tiles", stops)
    with pytest.raises(KeyboardInterrupt):
        write_ome_tiff(path, tmp_path / "map.ome.tif", WORDS)
    assert (tmp_path / "map.ome.tif").read_bytes() == b"before"


@pytest.mark.parametrize("max_px", [4096, 300])
def test_png_is_stretched_and_fits(tmp_path, finished, max_px):
    write_png(finished, tmp_path / "map.png", max_px)
    image = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint8
    assert 150 < max(image.shape) <= max_px
    assert np.percentile(image[image > 0], 99) > 220


def test_exports_refuse_a_folder_without_a_mosaic(tmp_path):
    with pytest.raises(InputRefused, match="no mosaic"):
        write_png(tmp_path, tmp_path / "map.png")


def test_a_contrast_window_ignores_what_no_tile_covers():
    image = np.zeros((100, 100), np.uint16)
    image[:, 50:] = np.arange(1000, 1050)
    low, high = contrast_window(image)
    assert 1000 <= low < high <= 1049
    assert contrast_window(np.zeros((4, 4), np.uint8)) == (0.0, 255.0)
