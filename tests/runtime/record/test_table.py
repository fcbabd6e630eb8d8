"""Columns are the fields of a record, and a record that went in comes out again."""

import sqlite3
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.record.table import Table
from tests.any_text import ANY_TEXT


@dataclass(frozen=True)
class Inner:
    number: float
    word: str | None


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    count: int
    flag: bool
    kind: Literal["a", "b"]
    pairs: tuple[tuple[float, float], ...]
    shares: dict[str, float]


TABLE = Table("things", Outer, key=("name",), order="count")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_a_nested_record_is_flattened_and_typed():
    assert [column.declaration for column in TABLE.columns] == [
        '"name" TEXT', '"number" REAL', '"word" TEXT', '"count" INTEGER', '"flag" INTEGER',
        '"kind" TEXT', '"pairs" TEXT', '"shares" TEXT',
    ]  # fmt: skip
    assert "PRIMARY KEY (name)" in TABLE.schema
    assert "CREATE INDEX things_in_order ON things (count);" in TABLE.schema


@given(
    st.builds(
        Outer,
        name=ANY_TEXT,
        inner=st.builds(Inner, number=FINITE, word=st.none() | ANY_TEXT),
        count=st.integers(-(2**63), 2**63 - 1),
        flag=st.booleans(),
        kind=st.sampled_from(["a", "b"]),
        pairs=st.lists(st.tuples(FINITE, FINITE), max_size=3).map(tuple),
        shares=st.dictionaries(ANY_TEXT, FINITE, max_size=3),
    )
)
def test_a_record_survives_the_row(record):
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    database.executescript(TABLE.schema)
    database.executemany(TABLE.insertion, TABLE.rows([record]))
    (again,) = TABLE.records(database.execute(TABLE.selection()))
    database.close()
    assert again == record
    assert type(again.flag) is bool


def test_two_fields_may_not_share_a_column():
    @dataclass(frozen=True)
    class Clash:
        number: int
        inner: Inner

    with pytest.raises(TypeError, match="share a column"):
        _ = Table("clash", Clash).columns


def test_a_record_of_the_same_key_replaces_the_first():
    assert TABLE.insertion.startswith("INSERT OR REPLACE")
    one = Outer("n", Inner(1.0, None), 1, True, "a", (), {})
    assert TABLE.rows([replace(one, count=2)])[0][3] == 2
