"""What a person gives on the command line is refused by name before any work."""

import io
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console

from runtime.cli.call import call
from runtime.cli.commands import doctor
from runtime.cli.process import print_whatever_comes
from runtime.cli.verbs import app
from runtime.errors import ConfigRefused
from runtime.record.place import place_of
from runtime.record.run_folder import RunFolder
from runtime.record.storage import make_folder


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "0"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("stitch", ".", "--stage-sigma-px"),
        ("classify", ".", "--model", "none", "--pixel-size-um"),
        ("demo", "--speed"),
        ("focus", "run", "--exposure-ms"),
        ("focus", "curve", ".", "--step-um"),
    ],
)
def test_a_number_that_is_none_is_refused_as_usage(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], number: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        app([*arguments, number])
    assert ended.value.code == 2
    assert "no number above 0" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("queued", [("add", "p.yaml", "--at"), ("at", "7")])
@pytest.mark.parametrize(
    ("time", "says"),
    [
        ("22:00", "'22:00' is no time: write 2026-12-01T22:00:00"),
        ("2020-01-01", "'2020-01-01' is no time of a night: 2025 to 2099"),
    ],
)
def test_a_time_that_is_none_is_refused_as_usage(
    capsys: pytest.CaptureFixture[str], queued: tuple[str, ...], time: str, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["queue", *queued, time])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "number"), [("--range-um", "nan"), ("--range-um", "inf"), ("--brightness", "nan")]
)
def test_what_is_no_number_is_within_no_limits(option: str, number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["focus", "run", option, number])
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["file", "file/run", "x" * 5000, "a\0b", "/proc/none/run"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigRefused, match=r"folder .*: cannot be made: .*--out") as refusal:
        make_folder(tmp_path / name)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "ring", "ring/run"])
def test_a_name_that_no_run_can_have_is_refused_where_it_is_looked_ahead(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(ConfigRefused, match=r"folder .*: cannot be made: .*--out"):
        place_of(tmp_path / name)
    with pytest.raises(ConfigRefused, match=r"folder .*: cannot be made: .*--out"):
        RunFolder(tmp_path / name).create(plan_text="", settings_text="")


def test_a_run_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigRefused, match="File exists"):
        RunFolder(tmp_path / "file").create(plan_text="", settings_text="")


def test_what_a_terminal_cannot_show_is_printed_as_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    print_whatever_comes()
    print("0.5 µm, b\udcff.tif")
    sys.stdout.flush()
    assert held.getvalue() == b"0.5 \\xb5m, b\\udcff.tif\n"


@pytest.mark.parametrize("name", ["[red]a", "[/]", ":smile:"])
def test_a_name_in_brackets_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(typer.Exit):
        call("runtime.cli.commands.model:list_models", False, folder=tmp_path / name)
    assert f"/{name}" in capsys.readouterr().out.replace("\n", "")


def test_what_the_doctor_finds_is_shown_as_it_is_and_to_its_end() -> None:
    settings = f"[red]{'n' * 80}.toml"
    console = Console(file=io.StringIO(), width=60)
    doctor.doctor(settings=Path(settings), controller=False, warm=False, console=console)
    findings = (line[24:] for line in console.file.getvalue().splitlines())
    assert settings in "".join(findings)
