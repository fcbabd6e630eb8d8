"""The table of made files: each is read as it was written, or refused for the right reason."""

import pytest

from benchmarks.files import WRONG, table


@pytest.mark.slow
def test_no_made_file_is_read_wrongly_or_refused_for_another_reason() -> None:
    rows = table()
    assert len(rows) >= 200
    wrong = [(f.format, f.variant, f.coding, says) for f, became, says in rows if became in WRONG]
    assert wrong == []
