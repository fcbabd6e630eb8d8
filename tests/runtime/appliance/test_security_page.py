"""What docs/security.md calls tested has a test of that name."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
FILE = re.compile(r"`((?:tests/)?[a-z_/]*test_\w+\.py)`")
FUNCTION = re.compile(r"`(test_\w+)`")


def test_every_test_that_the_page_names_is_there():
    page = (TESTS.parent / "docs/security.md").read_text()
    sources = [*Path(__file__).parent.rglob("test_*.py"), *(TESTS / "runtime/config").glob("*.py")]
    files = {file.name for file in sources}
    functions = {
        name for file in sources for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    named_files, named = FILE.findall(page), FUNCTION.findall(page)
    assert (len(named_files) > 30, len(named) > 20) == (True, True)
    gone = [f for f in named_files if f not in files and not (TESTS.parent / f).is_file()]
    assert gone == []
    assert set(named) - functions == set()
