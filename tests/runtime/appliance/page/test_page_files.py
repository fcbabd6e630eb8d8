"""The page's files: all are served, no other machine is asked, no markup holds a script."""

import re
from pathlib import Path

import pytest

from runtime.appliance.page import routes
from runtime.appliance.page.files import STATIC
from tests.runtime.appliance.page.asking import Asking

OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts)
SCRIPTS = {path.name: path.read_text() for path in OWN if path.suffix == ".js"}
IMPORT = re.compile(r"import\s*\{([^}]*)\}\s*from\s*\"\.\.?/(?:\w+/)?([\w.]+)\"")
EXPORT = re.compile(r"export (?:async )?(?:const|function|class) (\w+)")


@pytest.fixture(scope="module")
def asking() -> Asking:
    return Asking(list(routes()))


def test_the_page_and_all_it_names_are_served_under_a_strict_policy(asking: Asking) -> None:
    page = asking.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert "/static/js/main.js" in named
    for address in named:
        answer = asking.get(address)
        assert answer.status_code == 200, address
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        again = asking.get(address, if_none_match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
    assert asking.get("/static/js/main.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/static/", "/static/../files.py", "/static/%2e%2e/files.py",
                                  "/static/js", "/static/no.js"])  # fmt: skip
def test_nothing_else_is_served(asking: Asking, path: str) -> None:
    assert asking.get(path).status_code == 404


def test_markup_holds_neither_script_nor_style() -> None:
    markup = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|<script>|javascript:", markup)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_names_another_machine(path: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", path.read_text())
    assert [one for one in addresses if not one.startswith("http://www.w3.org/")] == []


def test_every_script_imports_what_another_exports() -> None:
    exported = {name: set(EXPORT.findall(text)) for name, text in SCRIPTS.items()}
    imports = [
        (name, source, wanted.strip())
        for name, text in SCRIPTS.items()
        for listed, source in IMPORT.findall(text)
        for wanted in listed.split(",")
        if wanted.strip()
    ]
    assert len(imports) > 40
    assert [one for one in imports if one[2] not in exported.get(one[1], ())] == []
    used = {
        (name, source, wanted)
        for name, source, wanted in imports
        if len(re.findall(rf"\b{wanted}\b", SCRIPTS[name])) > 1
    }
    assert set(imports) - used == set()


def test_every_import_names_a_file_that_is_there() -> None:
    named = [
        (path.parent / source).resolve()
        for path in OWN
        if path.suffix == ".js"
        for source in re.findall(r"from\s*\"([^\"]+)\"", path.read_text())
    ]
    assert len(named) > 40
    assert [path for path in named if not path.is_file()] == []


def test_scripts_are_short() -> None:
    long = {name: text.count("\n") for name, text in SCRIPTS.items() if text.count("\n") > 250}
    assert long == {}
