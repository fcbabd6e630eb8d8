"""A table of the journal whose columns are the fields of a record.

A field that is a record itself is flattened into the columns of its own fields; numbers, words and
flags are stored as such, everything else as JSON. So a record can grow by a field, and neither the
schema nor a statement has to be touched: only `SCHEMA_VERSION`, which says that it has grown.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

Record = TypeVar("Record")
SQL_TYPES: dict[type, str] = {str: "TEXT", bool: "INTEGER", int: "INTEGER", float: "REAL"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: where its value lies in the record, and what it is. `json` is None for a value
    that SQLite stores as it is.
    """

    name: str
    path: tuple[str, ...]
    plain: type
    json: TypeAdapter[Any] | None

    @property
    def declaration(self) -> str:
        """Return the column as CREATE TABLE wants it; quoted, since a field may be a keyword."""
        return f'"{self.name}" {"TEXT" if self.json else SQL_TYPES[self.plain]}'

    def stored(self, record: Any) -> Any:
        """Return the value that goes into the row."""
        value = record
        for step in self.path:
            value = getattr(value, step)
        if self.json is None or value is None:
            return value
        return self.json.dump_json(value).decode()

    def restored(self, value: Any) -> Any:
        """Return the record's value from the row's; SQLite gives flags back as numbers."""
        if value is None:
            return None
        if self.json is not None:
            return self.json.validate_json(value)
        return self.plain(value)


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def columns_of(record: type, path: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Return the columns of a record, in the order of its fields.

    Raises TypeError when two fields would share a column.
    """
    found: list[Column] = []
    hints = _hints(record)
    for field in dataclasses.fields(record):
        here, hint = (*path, field.name), hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found.extend(columns_of(hint, here))
        else:
            plain = _plain(hint)
            adapter = None if plain in SQL_TYPES else TypeAdapter(hint)
            found.append(Column(field.name, here, plain, adapter))
    names = [column.name for column in found]
    if len(set(names)) < len(names):
        raise TypeError(f"two fields of {record.__name__} share a column: {sorted(names)}")
    return tuple(found)


def _plain(hint: Any) -> type:
    """Return the type a hint comes down to: that of a Literal's values, of an optional value."""
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (arm for arm in get_args(hint) if arm is not type(None))
        return _plain(inner)
    return hint if isinstance(hint, type) else object


@dataclass(frozen=True)
class Table(Generic[Record]):
    """Records of one kind, one of each `key`.

    `order` is what they come back by: the order written, where it is left out. `looked_up_by` is a
    column that questions name and the key does not begin with.
    """

    name: str
    record: type[Record]
    key: tuple[str, ...] = ()
    order: str = "rowid"
    looked_up_by: str = ""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Return the table's columns."""
        return columns_of(self.record)

    @property
    def schema(self) -> str:
        """Return the statement that makes the table."""
        lines = [column.declaration for column in self.columns]
        if self.key:
            lines.append(f"PRIMARY KEY ({', '.join(self.key)})")
        made = [f"CREATE TABLE {self.name} ({', '.join(lines)});"]
        sorted_by = "" if self.order in ("rowid", ", ".join(self.key)) else self.order
        for use, column in (("in_order", sorted_by), ("looked_up", self.looked_up_by)):
            if column:
                made.append(f"CREATE INDEX {self.name}_{use} ON {self.name} ({column});")
        return "\n".join(made)

    @property
    def insertion(self) -> str:
        """Return the statement that adds a row, or replaces the one of the same key."""
        marks = ", ".join("?" for _ in self.columns)
        return f"INSERT OR REPLACE INTO {self.name} VALUES ({marks})"

    def selection(self, where: str = "") -> str:
        """Return the statement that reads rows in order."""
        condition = f" WHERE {where}" if where else ""
        return f"SELECT * FROM {self.name}{condition} ORDER BY {self.order}"

    def rows(self, records: Iterable[Record]) -> list[tuple[Any, ...]]:
        """Return records as rows."""
        return [tuple(column.stored(record) for column in self.columns) for record in records]

    def records(self, rows: Iterable[Sequence[Any]]) -> list[Record]:
        """Return rows, their values in the order of the columns, as records."""
        return [self._built(row) for row in rows]

    @cached_property
    def _built(self) -> Callable[[Sequence[Any]], Record]:
        return _builder(self.record, iter(enumerate(self.columns)))


def _builder(record: type, columns: Iterator[tuple[int, Column]]) -> Callable[[Sequence[Any]], Any]:
    """Return what makes a record of a row. It is worked out once: a night has 100,000 timings."""
    hints, parts = _hints(record), []
    for field in dataclasses.fields(record):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            parts.append((field.name, _builder(hint, columns)))
        else:
            parts.append((field.name, _reader(*next(columns))))

    def build(row: Sequence[Any]) -> Any:
        return record(**{name: read(row) for name, read in parts})

    return build


def _reader(at: int, column: Column) -> Callable[[Sequence[Any]], Any]:
    """Return what reads one value of a row; SQLite gives most back as what they are."""
    plain, restored = column.plain, column.restored

    def read(row: Sequence[Any]) -> Any:
        value = row[at]
        return restored(value) if type(value) is not plain or column.json else value

    return read
