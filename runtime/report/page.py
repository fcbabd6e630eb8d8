"""The page as a whole: read once, drawn section by section, written durably."""

from __future__ import annotations

from pathlib import Path

from runtime.record.budget import stage_table
from runtime.record.journal import Journal
from runtime.record.storage import write_durably
from runtime.report.calibration_view import calibration_section
from runtime.report.configuration_view import configuration_section
from runtime.report.events_view import events_section
from runtime.report.files_view import files_section
from runtime.report.findings import findings, findings_section
from runtime.report.focus_view import focus_section
from runtime.report.header_view import header
from runtime.report.map.view import map_section
from runtime.report.markup import Html, element, join
from runtime.report.regions_view import regions_section
from runtime.report.run_data import RunData, read_run
from runtime.report.seams_view import seams_section
from runtime.report.timing_view import timing_section

STYLE = Path(__file__).with_name("report.css")
PAGE = "report.html"
CONTENTS = (
    ("map", "Map"), ("regions", "Regions"), ("tiles", "Flagged tiles"), ("focus", "Focus"),
    ("seams", "Seams"), ("timing", "Timing"), ("calibration", "Calibration"), ("events", "Events"),
    ("files", "Files"),
)  # fmt: skip


def write_report(run_dir: Path, journal: Journal) -> Path:
    """Write the run's `report.html` into its folder and return its path.

    The page shows all it has to say without another file, whatever state the run is in; it links
    to the files beside it. Raises DiskFull when there is no room.
    """
    run = read_run(run_dir, journal)
    path = run_dir / PAGE
    write_durably(path, _page(run).encode("utf-8"))
    return path


def _page(run: RunData) -> Html:
    stages, found = stage_table(run.timings, run.stages), findings(run)
    body = element(
        "body",
        header(run, found, stages),
        _contents(),
        element(
            "main",
            map_section(run, found),
            regions_section(run),
            findings_section(run, found),
            focus_section(run),
            seams_section(run),
            timing_section(run, stages),
            calibration_section(run),
            events_section(run),
            files_section(run),
            configuration_section(run),
        ),
    )
    return join([Html("<!doctype html>\n"), element("html", _head(run), body, lang="en")])


def _head(run: RunData) -> Html:
    title = f"{run.facts['name'] or run.folder.name}: Nightscope report"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title + (" (SIMULATED)" if run.simulated else "")),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    )


def _contents() -> Html:
    links = [element("a", name, href=f"#{anchor}") for anchor, name in CONTENTS]
    return element("nav", *links, aria_label="Contents")
