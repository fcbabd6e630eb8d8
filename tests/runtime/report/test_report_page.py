"""The page says what the journal says, whatever state the run is in, and needs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from runtime.record.journal import Journal
from runtime.report.page import write_report

VOID = {"br", "img", "input", "link", "meta"}


class Balance(HTMLParser):
    """Fails on a tag that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def page_of(folder: Path) -> tuple[str, str]:
    """Write the report; return its source and its visible text, whitespace squeezed."""
    journal = Journal(folder / "journal.sqlite")
    path = write_report(folder, journal)
    journal.close()
    source = path.read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(source)
    assert balance.open == []
    return source, re.sub(r"\s+", " ", " ".join(balance.text))


SAID = {
    "name": "Mussel <section> & co",
    "simulated": "Every image and time on this page comes from the simulated microscope.",
    "hurry": "Mechanical times are divided by 10.",
    "outcome": "Finished",
    "verdict": "late, beyond their budgets: classify; frames are bent, see Seams:",
    "map in words": "Pictures of neighbours lie 0.31 px apart in the map (median; p95 0.92 px); "
    "3 of 90 blocks lost: most seams cannot be seen, at the worst edges break.",
    "map in a number": "Mismatch in the map 0.31 px median of 80 blocks; p95 0.92 px",
    "bent frames": "bends every frame, by 4.2 px at most",
    "cure": "measured by nightscope calibrate distortion --objective 10x ; nights after",
    "weak tile": "r000_c003 one seam alone holds it",
    "suspect seam": "the other seams predict another place",
    "waiting": "for which the stage stood still for 17 s",
    "count": "19 of 20",
    "regions": "1 of 2",
    "duration": "7 h 40 min",
    "model": "mussel-tissue 1.0.0",
    "skip": "camera gave no frame; value 3 attempts",
    "focus failure": "multi-peak: two peaks of equal height, 18 µm apart <&>",
    "doubt": "r002_c003 doubt label 'tissue' not to be trusted; saturated: <&>",
    "doubt in the legend": "label not to be trusted: 2 tiles",
    "blank": "nothing to match in the overlaps; left where the stage put it",
    "visit skipped": "Skipped region02_f0: camera gave no frame",
    "calibration": "0.49981 ± 0.00012 µm/px",
    "event": "r001_c002: multi-peak",
    "depth of field": "the depth of field is 7.6 µm",
    "late": "4 tiles",
}


@pytest.fixture(scope="module")
def visible(shared_night: Path) -> str:
    return page_of(shared_night)[1]


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_page_says(visible: str, said: str) -> None:
    assert said in visible


def test_page_needs_nothing_else(night: Path) -> None:
    source, _ = page_of(night)
    shown = re.findall(r'<(?!a )[^>]*(?:href|src|xlink:href)="([^"]+)"', source)
    assert shown
    assert all(link.startswith(("#", "data:image/")) for link in shown)
    assert "<script" not in source
    assert "http" not in source
    assert "@import" not in source


def test_every_anchor_leads_somewhere(night: Path) -> None:
    source, _ = page_of(night)
    targets = set(re.findall(r'href="#([^"]+)"', source))
    assert {"map", "region01", "region02"} <= targets
    assert targets <= set(re.findall(r'id="([^"]+)"', source))


def test_what_the_journal_holds_cannot_break_out(night: Path) -> None:
    source, _ = page_of(night)
    assert "<section> & co" not in source
    assert "apart <&>" not in source


def drawn(source: str, kind: str) -> int:
    """Return how many shapes of a kind are on the page, alone or as parts of a path."""
    return sum(d.count("M") for d in re.findall(rf'<path d="([^"]*)" class="{kind}"', source))


def test_every_placed_tile_is_drawn(night: Path) -> None:
    source, _ = page_of(night)
    assert drawn(source, "outline") == drawn(source, "cell k[0-9]") == 19
    assert drawn(source, "flag focus") == drawn(source, "flag doubt") == 1
    assert drawn(source, "doubted") == drawn(source, "region") == 2


def test_a_run_paused_before_its_first_tile_has_a_page(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite", create=True)
    journal.note(state="paused")
    journal.close()
    _, text = page_of(tmp_path)
    assert "Paused, resumable" in text
    assert "No tile is placed yet." in text
    assert "SIMULATED" not in text


def test_tiles_without_placements_or_labels_have_a_page(night: Path) -> None:
    journal = Journal(night / "journal.sqlite")
    with journal.transaction():
        for table in ("placements", "labels", "seams", "judged_seams", "timings"):
            journal._db.execute(f"DELETE FROM {table}")
    journal.note(state="scanning", map_png=None)
    journal.close()
    (night / "map.png").unlink()
    _, text = page_of(night)
    assert "Overview not finished" in text
    assert "No seam was judged yet." in text


def test_a_map_that_is_damaged_costs_the_page_its_picture_alone(night: Path) -> None:
    journal = Journal(night / "journal.sqlite")
    journal.note(state="paused", map_png=None)
    journal.close()
    (night / "map.ome.zarr").mkdir()
    for text in ("", "{}", '{"zarr_format": 3, "node_type": "group"}'):
        (night / "map.ome.zarr" / "zarr.json").write_text(text)
        source, text = page_of(night)
        assert "Paused, resumable" in text
        assert 'class="paper"' in source


def test_a_lost_frame_is_named(night: Path) -> None:
    (night / "regions" / "region01_f0.tif").write_bytes(b"II*\0truncated")
    assert "regions/region01_f0.tif cannot be read." in page_of(night)[1]


def test_seams_that_are_not_judged_yet_show_their_residuals(night: Path) -> None:
    journal = Journal(night / "journal.sqlite")
    with journal.transaction():
        for table in ("judged_seams", "judged_tiles"):
            journal._db.execute(f"DELETE FROM {table}")
    journal.note(map_quality=None, bent_px=None)
    journal.close()
    _, text = page_of(night)
    assert "Seam residual, p95" in text
    assert "seams matched; residual median" in text
    assert "Pictures of neighbours" not in text
    assert "BENT FRAMES" not in text
