"""The rules of the house that no linter holds: size, imports at start, one table of commands."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from runtime.cli.verbs import app

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("runtime", "firmware_bridge", "calibration", "export", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
SHIPPED = [path for path in SOURCES if path.parts[0] not in ("tests", "benchmarks")]
FILE_LINES, FUNCTION_LINES = 400, 60
# Training's and test's libraries, which must never come up with the device process.
OFF_THE_DEVICE = ("torch", "onnx", "matplotlib", "skimage", "sklearn", "export")
# The one handler that catches everything: the top of the command line.
BROAD = {("runtime/cli/verbs.py", "Exception")}
# The bridge imports nothing of the runtime, so devices on no serial board have errors of their own;
# each means what the bridge's error of that name means.
SAME_ERRORS = ("LimitHit", "NotHomed", "Rejected", "Stalled")


class Written(NamedTuple):
    """What the rules ask of a file. Its tree is let go: all of them keep the collector busy."""

    functions: list[tuple[str, int]]
    """Name and lines."""
    classes: list[str]
    caught: list[str]
    """The name in every `except`, "everything" for a bare one."""


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement and handler below a node. Most nodes are expressions, and hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


@cache
def written(path: Path) -> Written:
    found = Written([], [], [])
    for node in statements(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.functions.append((node.name, lines))
            case ast.ClassDef():
                found.classes.append(node.name)
            case ast.ExceptHandler():
                found.caught.append("everything" if node.type is None else ast.unparse(node.type))
    return found


def commands(command: Any, name: str = "nightscope") -> Iterator[tuple[str, Any]]:
    """Yield every verb with its full name. (Typer brings a Click of its own: no class to name.)"""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for verb, inner in below.items():
        yield from commands(inner, f"{name} {verb}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_files_are_short() -> None:
    lines = {p: len((ROOT / p).read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert [f"{path}: {count}" for path, count in lines.items() if count > FILE_LINES] == []


def test_functions_are_short() -> None:
    long = [
        f"{path}: {name}: {lines} lines"
        for path in SOURCES
        for name, lines in written(path).functions
        if lines > FUNCTION_LINES
    ]
    assert long == []


def test_one_place_catches_everything() -> None:
    found = {
        (str(path), name)
        for path in SHIPPED
        for name in written(path).caught
        if name in ("everything", "Exception")
    }
    assert found == BROAD


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for path in SHIPPED:
        for name in written(path).classes:
            places.setdefault(name, []).append(str(path))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    errors = ["firmware_bridge/errors.py", "runtime/instrument/errors.py"]
    assert {name: sorted(found) for name, found in twice.items()} == dict.fromkeys(
        SAME_ERRORS, errors
    )


def test_the_device_process_loads_nothing_of_training() -> None:
    code = "import runtime.instrument.opening, sys; print('\\n'.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert "runtime" in loaded
    assert not loaded & set(OFF_THE_DEVICE)


def test_the_command_line_comes_up_without_heavy_libraries() -> None:
    code = "import runtime.cli.verbs, sys; print('\\n'.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "cv2", "zarr", "numba", "onnxruntime", "importlib.metadata"}
    heavy |= {"starlette", "uvicorn", "prometheus_client"}
    assert not heavy & set(ended.stdout.split())


def test_the_version_is_the_one_that_was_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"nightscope {version('nightscope')}\n"


def test_whatever_lies_beside_the_code_is_packed_into_the_wheel() -> None:
    """All but the board's firmware, which is no part of what runs on the controller."""
    packing = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packed = packing["tool"]["setuptools"]["package-data"]
    forgotten = [
        str(file.relative_to(ROOT))
        for package in ("runtime", "firmware_bridge", "calibration", "export")
        for file in (ROOT / package).rglob("*")
        if file.is_file()
        and file.suffix != ".py"
        and "__pycache__" not in file.parts
        and "firmware_bridge/firmware" not in file.as_posix()
        and not any(file in (ROOT / package).glob(p) for p in packed.get(package, []))
    ]
    assert forgotten == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    examples = re.findall(r"`(nightscope [^`]+)`", command.help)
    assert len(examples) == 2
    assert all(example.startswith(name) for example in examples)
    silent = [p.name for p in command.params if not getattr(p, "help", None) and p.name != "help"]
    assert not silent


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_row_in_the_readme(name: str) -> None:
    rows = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert sum(row.startswith(f"| `{name}` |") for row in rows) == 1


def test_every_link_in_the_documents_leads_somewhere() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not target.startswith(("http://", "https://", "mailto:"))
    ]
    assert links
    assert [f"{p.name}: {t}" for p, t in links if not (p.parent / t).exists()] == []


def test_every_file_a_document_names_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(
            r"`((?:runtime|firmware_bridge|calibration|export|tests|benchmarks|docs)/[\w./-]+)`",
            page.read_text(encoding="utf-8"),
        )
    }
    assert sorted(f"{page}: {name}" for page, name in named if not (ROOT / name).exists()) == []


def test_every_test_that_a_document_names_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    there: set[str] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there |= {file.name, *re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))}
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", page.read_text("utf-8"))
    }
    assert named
    assert sorted(f"{page}: {name}" for page, name in named if name not in there) == []
