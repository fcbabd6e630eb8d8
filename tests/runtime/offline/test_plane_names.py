"""Names of a stack's files: which number is the plane's, and which files are of another kind."""

from fractions import Fraction

import pytest

from runtime.offline.plane_names import numbered


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["z07.png", "z08.png", "z10.png"], [7, 8, 10]),
        (["z-2.png", "z-1.png", "z0.png", "z1.png"], [-2, -1, 0, 1]),
        (["z-1.png", "z+0.png", "z+1.png"], [-1, 0, 1]),
        (["scan-01.png", "scan-02.png"], [1, 2]),
        (["z_0.5um.tif", "z_2um.tif", "z_-1.25um.tif"], [0.5, 2, -1.25]),
        (["z_0,5 µm.ome.tif", "z_1,5 µm.ome.tif"], [0.5, 1.5]),
        (["0.5.tif", "1.0.tif", "1.5.tif"], [0.5, 1, 1.5]),
        (["img.9.tif", "img.10.tif"], [9, 10]),
        (["v1.9.tif", "v1.10.tif"], [9, 10]),
        (["2026.11.29.tif", "2026.11.30.tif"], [29, 30]),
    ],
)
def test_the_last_number_is_a_count_or_a_height(names: list[str], numbers: list[float]) -> None:
    found, others = numbered(names)
    assert found == dict(zip(names, map(Fraction, numbers), strict=True))
    assert others == {}


def test_planes_of_several_places_are_not_one_stack() -> None:
    names = [f"pos{place}.{plane}.tif" for place in (1, 2) for plane in range(1, 6 - place)]
    found, others = numbered([*names, "overview.tif"])
    assert found == {f"pos1.{plane}.tif": Fraction(plane) for plane in range(1, 5)}
    assert others.pop("overview.tif") == "no number in its name"
    assert set(others) == {"pos2.1.tif", "pos2.2.tif", "pos2.3.tif"}
    assert set(others.values()) == {"named otherwise than most"}
