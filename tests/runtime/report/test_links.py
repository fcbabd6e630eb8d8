"""Links lead to the files they name, whatever these are called and wherever the folder goes."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from runtime.record.journal import Journal
from runtime.record.rows import KeptFile
from runtime.report.links import link_to
from runtime.report.page import write_report

NAME = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, ord("/")} & set(name))
ODD = '100% of #1? "a":b & <c>\u00e4.geojson'


@given(NAME.filter(lambda name: name not in (b".", b"..")))
def test_a_link_is_the_name_in_the_folder_of_the_page(name: bytes) -> None:
    link = link_to(os.fsdecode(name))
    whole = urlsplit(urljoin("file:///night/report.html", link))
    assert (whole.scheme, whole.query, whole.fragment) == ("file", "", "")
    assert unquote_to_bytes(whole.path) == b"/night/" + name


def links_of(folder: Path) -> set[bytes]:
    """Write the report; return the files that it links to."""
    journal = Journal(folder / "journal.sqlite")
    source = write_report(folder, journal).read_text(encoding="utf-8")
    journal.close()
    return {unquote_to_bytes(link) for link in re.findall(r'<a href="([^"#]+)"', source)}


def test_every_tile_and_export_is_a_click_away(night: Path) -> None:
    (night / ODD).write_text("{}")
    (night / "map.ome.zarr").mkdir()
    journal = Journal(night / "journal.sqlite")
    files = [
        KeptFile(file=name, kind="derived", sha256="0" * 64, size_bytes=5_549_708)
        for name in (ODD, "map.ome.zarr", "map.png", "gone.csv")
    ]
    journal.keep("derived", files)
    tiles = [tile.file.file for tile in journal.tiles()]
    journal.close()
    linked = links_of(night)
    assert linked >= {name.encode() for name in tiles}
    assert linked >= {b"map.ome.zarr/", b"map.png", ODD.encode()}


def test_a_file_is_told_with_what_it_is_and_its_size(night: Path) -> None:
    journal = Journal(night / "journal.sqlite")
    journal.keep(
        "derived",
        [
            KeptFile(file=name, kind="derived", sha256="0" * 64, size_bytes=5_549_708)
            for name in ("map.png", "regions.geojson")
        ],
    )
    journal.keep(
        "sealed",
        [
            KeptFile(file=f"calibration/{n}.json", kind="sealed", sha256="0" * 64, size_bytes=600)
            for n in range(2)
        ],
    )
    source = write_report(night, journal).read_text(encoding="utf-8")
    journal.close()
    rows = {
        name: re.sub(r"<[^>]+>", "|", rest)
        for name, rest in re.findall(r'<a href="([^"]+)"><code>[^<]+</code></a>(.*?)</tr>', source)
    }
    assert "the map as a picture, of 4,096 px at most" in rows["map.png"]
    assert "5.5 MB" in rows["map.png"]
    assert "missing: nightscope rebuild makes it again" in rows["regions.geojson"]
    assert "19 frames of the overview" in rows["tiles/"]
    assert "1.2 kB" in rows["calibration"]
    assert list(rows)[-1] != "report.html"
