"""The read-only views: what a run folder holds is told, and nothing else can be asked for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.appliance.views import views
from runtime.appliance.views.tile_rows import COLUMNS, kind_of
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import CalibrationSection
from runtime.instant import Instant
from runtime.record.glimpse import glimpses
from runtime.record.journal import Journal
from runtime.report.findings import findings
from runtime.report.run_data import read_run
from runtime.tile import Label
from tests.runtime.appliance.page.asking import Asking
from tests.runtime.appliance.service.service_bench import EVENING_S, HandClock
from tests.runtime.report.conftest import BLANK, FAILED, SKIPPED, finished


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one finished run, to be read alone."""
    made = tmp_path_factory.mktemp("runs")
    (made / "night").mkdir()
    finished(made / "night")
    return made


@pytest.fixture(scope="module")
def asking(root: Path) -> Asking:
    return Asking.of_views(views(root))


@pytest.fixture
def own(root: Path, tmp_path: Path) -> tuple[Path, Asking]:
    """Return a copy of the folder, to do with what one likes, and who asks about it."""
    shutil.copytree(root, tmp_path / "runs")
    return tmp_path / "runs", Asking.of_views(views(tmp_path / "runs"))


def rows(answer: dict) -> dict[str, dict]:
    return {row[1]: dict(zip(answer["columns"], row, strict=True)) for row in answer["tiles"]}


def test_runs_are_listed_and_one_that_cannot_be_read_says_why(own) -> None:
    folder, asking = own
    (folder / "broken").mkdir()
    (folder / "broken" / "journal.sqlite").write_bytes(b"no journal" * 99)
    (folder / "no-run").mkdir()
    found = {one["id"]: one for one in asking.json("/runs")["runs"]}
    assert set(found) == {"night", "broken"}
    assert "is not a journal" in found["broken"]["error"]
    assert found["night"]["name"] == "Mussel <section> & co"
    assert (found["night"]["tiles"], found["night"]["tiles_planned"]) == (19, 20)
    answer = asking.get("/runs/broken")
    assert answer.status_code == 409
    assert answer.json()["error"]["remedy"].startswith("restore it from a copy")


def test_a_run_is_told_in_the_words_of_its_report(asking: Asking) -> None:
    run = asking.json("/runs/night")
    assert run["state"] == "finished"
    assert run["simulated"]
    assert f"2 tiles given up: {SKIPPED}, region02_f0" in run["attention"]
    assert [skip["id"] for skip in run["skipped"]] == [SKIPPED, "region02_f0"]
    assert {row["stage"]: row["late"] for row in run["budgets"]}["classify"]
    assert [(r["id"], r["visited"]) for r in run["regions"]] == [
        ("region01", True), ("region02", False),
    ]  # fmt: skip
    assert run["regions"][0]["frames"] == [90]
    assert run["calibration"][0]["values"][0] == "m00 0.49981 ± 0.00012 µm/px"
    assert run["files"] == ["map.png"]
    assert run["fresh"]


def test_rows_say_why_a_tile_is_doubtful_as_the_findings_do(asking: Asking, root: Path) -> None:
    answer = asking.json("/runs/night/tiles")
    assert answer["whole"]
    assert tuple(answer["columns"]) == COLUMNS
    found = rows(answer)
    assert len(found) == 20
    assert (found["r000_c001"]["x_um"], found["r000_c001"]["x_px"]) == (47.5, 95.3)
    journal = Journal(root / "night" / "journal.sqlite", look_on=True)
    run = read_run(root / "night", journal)
    journal.close()
    gravest: dict[str, str] = {}
    for one in findings(run):
        gravest.setdefault(one.tile_id, one.kind)
    assert {FAILED, BLANK} < gravest.keys()
    kinds = {one.tile_id: kind_of(one) for one in glimpses(root / "night" / "journal.sqlite")}
    assert kinds == {tile_id: gravest.get(tile_id, "") for tile_id in kinds}


def test_only_what_changed_is_told_again(own) -> None:
    folder, asking = own
    first = asking.json("/runs/night/tiles")
    again = asking.json(f"/runs/night/tiles?since={first['cursor']}")
    assert (again["whole"], again["tiles"], again["gone"]) == (False, [], [])
    journal = Journal(folder / "night" / "journal.sqlite")
    journal.set_label("r001_c001", Label(name="resin", score=0.5))
    journal.retake("r000_c001")
    changed = _until_fresh(asking, first["cursor"])
    assert list(rows(changed)) == ["r001_c001"]
    assert rows(changed)["r001_c001"]["label"] == "resin"
    assert changed["gone"] == [1]
    journal.close()
    for stranger in ("", "x", "0.0", f"{first['cursor']}9999999999", "ö.1"):
        assert len(asking.json(f"/runs/night/tiles?since={stranger}")["tiles"]) == 19


def _until_fresh(asking: Asking, cursor: str) -> dict:
    while True:
        answer = asking.json(f"/runs/night/tiles?since={cursor}")
        if answer["fresh"]:
            return answer


def test_a_tile_is_told_with_its_curve_its_seams_and_its_doubts(asking: Asking) -> None:
    tiles = rows(asking.json("/runs/night/tiles"))
    failed = asking.json(f"/runs/night/tiles/{tiles[FAILED]['n']}")
    assert failed["focus"]["status"] == "multi-peak"
    assert len(failed["focus"]["curve"]) == 13
    assert failed["focus"]["curve"] == sorted(failed["focus"]["curve"])
    assert any("two peaks of equal height" in why["reason"] for why in failed["why"])
    assert {seam["with"] for seam in failed["seams"]} == {
        "r000_c002", "r001_c001", "r001_c003", "r002_c002",
    }  # fmt: skip
    assert all("mismatch" in seam["words"] for seam in failed["seams"])
    assert {row["stage"] for row in failed["timings"]} >= {"move", "focus", "expose"}
    weak = asking.json(f"/runs/night/tiles/{tiles['r000_c003']['n']}")
    assert weak["suspicions"] == ["one seam alone holds it"]
    assert weak["label"]["scores"].keys() == {"tissue", "resin"}
    visit = asking.json("/runs/night/tiles/90")
    assert (visit["phase"], visit["region"], visit["place"]) == ("visit", "region01", None)


def test_frames_are_sent_as_pictures_once(own) -> None:
    _, asking = own
    answer = asking.get("/runs/night/tiles/90/image.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (96, 112)
    small = asking.get("/runs/night/tiles/90/image.jpg?width=70")
    shown = cv2.imdecode(np.frombuffer(small.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (60, 70)
    same = asking.get("/runs/night/tiles/90/image.jpg", if_none_match=answer.headers["etag"])
    assert (same.status_code, same.content) == (304, b"")
    assert asking.get("/live.jpg").content == answer.content
    lost = asking.get("/runs/night/tiles/0/image.jpg")
    assert lost.status_code == 409
    assert "r000_c000.tif" in lost.json()["error"]["what"]


def test_a_journal_that_names_a_file_outside_is_not_followed(own) -> None:
    folder, asking = own
    cv2.imwrite(str(folder / "secret.tif"), np.zeros((9, 9), np.uint16))
    journal = Journal(folder / "night" / "journal.sqlite")
    tile = journal.tiles("visit")[0]
    journal.add_tile(
        replace(tile, file=replace(tile.file, file="../secret.tif")),
        journal.focus()[tile.tile_id],
    )
    journal.close()
    answer = asking.get("/runs/night/tiles/90/image.jpg")
    assert answer.status_code == 404
    assert "outside the run" in answer.json()["error"]["what"]


@pytest.mark.parametrize(
    "path",
    [
        "/runs/none",
        "/runs/..",
        "/runs/%2e%2e",
        "/runs/..%2fnight",
        "/runs/.night.part",
        "/runs/night%00",
        "/runs/linked",
        "/runs/night/tiles/1e3",
        "/runs/night/tiles/-1",
        "/runs/night/tiles/19",
        f"/runs/night/tiles/{'9' * 5000}",
        "/runs/night/files/journal.sqlite",
        "/runs/night/files/..%2fnight%2fmap.png",
        "/runs/night/files/%2fetc%2fpasswd",
        "/runs/night/files/report.html",
        "/runs/night/files/plan.yaml",
        "/runs/night/map.json",
        "/runs/night/map/0/0_0.jpg",
        f"/runs/night/map/0/{'9' * 5000}_0.jpg",
    ],
)
def test_what_is_not_there_or_not_to_be_seen_is_not_found(own, path: str) -> None:
    folder, asking = own
    (folder / "linked").symlink_to(folder / "night")
    (folder / ".night.part").mkdir()
    shutil.copy(folder / "night" / "journal.sqlite", folder / ".night.part")
    (folder.parent / "secret").write_text("plan")
    (folder / "night" / "plan.yaml").symlink_to(folder.parent / "secret")
    answer = asking.get(path)
    assert answer.status_code == 404
    if answer.headers["content-type"] == "application/json":
        assert answer.json()["error"].keys() == {"what", "value", "limit", "remedy"}


def test_files_are_given_out_from_a_list(own) -> None:
    folder, asking = own
    (folder / "night" / "report.html").write_text("<script>1</script>")
    (folder / "night" / "settings.toml").write_text("[instrument]")
    report = asking.get("/runs/night/files/report.html")
    assert report.text == "<script>1</script>"
    assert "sandbox" in report.headers["content-security-policy"]
    stored = asking.get("/runs/night/files/settings.toml")
    assert 'filename="night-settings.toml"' in stored.headers["content-disposition"]


def test_events_go_on_from_where_one_was(own) -> None:
    folder, asking = own
    first = asking.json("/runs/night/events")
    assert [event["words"] for event in first["events"]] == [
        "overview begins", "r001_c002: multi-peak",
    ]  # fmt: skip
    journal = Journal(folder / "night" / "journal.sqlite")
    at = journal.events()[-1].at
    journal.event(at=at, level="warning", kind="Stopped", message="stopped by hand")
    journal.close()
    later = asking.json(f"/runs/night/events?since={first['next']}")
    assert [(event["n"], event["words"]) for event in later["events"]] == [(2, "stopped by hand")]


def test_an_answer_that_holds_still_is_not_sent_again_and_a_large_one_is_packed(
    asking: Asking,
) -> None:
    answer = asking.get("/runs/night", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    again = asking.get("/runs/night", if_none_match=f'"other", {answer.headers["etag"]}')
    assert again.status_code == 304
    plain = asking.get("/runs/night", accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()


def test_looking_leaves_the_folder_as_it_was(own) -> None:
    folder, asking = own
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in ("/runs", "/runs/night", "/runs/night/tiles", "/runs/night/tiles/90/image.jpg",
                 "/runs/night/events", "/live.jpg"):  # fmt: skip
        asking.get(path)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_numbers_that_are_none_are_null(own) -> None:
    folder, asking = own
    journal = Journal(folder / "night" / "journal.sqlite")
    record = journal.fact("calibrations")[0] | {"made": {"wall_s": float("nan")}}
    journal.note(calibrations=[record])
    journal.close()
    told = json.loads(asking.get("/runs/night").text)
    assert told["calibration"][0]["made"] is None


def test_how_calibrations_stand_is_told(root: Path, tmp_path: Path) -> None:
    section = CalibrationSection(folder=tmp_path, max_age_days=30)
    for kind, objective, days, passed in (
        ("dark", "", 1, True), ("flat-field", "10x", 40, True), ("backlash", "", 2, False),
        ("camera-stage", "10x", -9, True),
    ):  # fmt: skip
        made = Instant(boot_id="then", monotonic_s=1.0, wall_s=EVENING_S - days * 86400)
        record = CalibrationRecord(
            kind=kind, objective=objective, made=made, passed=passed, acceptance="level",
            values={"level": 64.1}, uncertainties={"level": 0.2}, units={"level": "DN"},
            advice="" if passed else "clean the screw", depends_on="x",
        )  # fmt: skip
        (tmp_path / f"{record.name}@0001-then.json").write_text(record.model_dump_json())
    (tmp_path / "distortion-10x@0001-then.json").write_text("{")
    answer = Asking.of_views(views(root, HandClock(), section)).json("/calibration")
    standing = {row["kind"]: row for row in answer["records"]}
    assert {kind: row["state"] for kind, row in standing.items()} == {
        "dark": "good",
        "flat-field": "stale",
        "backlash": "failed",
        "camera-stage": "dated in the future",
        "distortion-10x": "unreadable",
    }
    assert standing["backlash"]["advice"] == "clean the screw"
    assert standing["dark"]["values"] == ["level 64.10 ± 0.20 DN"]
    assert standing["dark"]["age_days"] == 1.0
    assert "cannot be read" in standing["distortion-10x"]["error"]
