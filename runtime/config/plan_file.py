"""Plans as files: a YAML page a microscopist can read, or a useq sequence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from runtime.config.plan import Plan
from runtime.config.strict import FLATTER, no_such_value
from runtime.config.useq_import import FIELDS, plan_from_useq, with_sequence
from runtime.errors import ConfigRefused
from runtime.plain_file import read_text

MOST_BYTES = 2**18
"""A sequence with several thousand positions; YAML is read at a few ten kilobytes a second."""

DEEPEST = 40
"""Levels of brackets or indentation; a sequence within a sequence has about ten."""

MOST_VALUES = 100_000
"""Of a page with its aliases written out, which a few lines can make billions."""


RESOLVED_HERE = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$")
REAL = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
    r"|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


def load_plan(path: Path) -> Plan:
    """Return the plan in a YAML file; a `useq-schema` sequence is imported.

    Raises ConfigRefused when the file is missing, is not YAML, or holds an unknown key.
    """
    return parse_plan_text(plan_text(path), source=path)


def plan_text(path: Path) -> str:
    """Return the text of a plan's file. Raises ConfigRefused for what is no text of that size."""
    return read_text(path, what="plan", most_bytes=MOST_BYTES, refuse=ConfigRefused)


def parse_plan_text(text: str, *, source: Path | str) -> Plan:
    """Return the plan in YAML `text`. Raises ConfigRefused, naming the source and the line."""
    try:
        values = yaml.load(text, _Page)
        if _written_out(values, {}) > MOST_VALUES:
            raise ConfigRefused(
                f"{source}: its aliases stand for too much",
                limit=f"{MOST_VALUES} values",
                remedy="write out what '*' and '&' stand for",
            )
    except yaml.YAMLError as error:
        raise ConfigRefused(f"{source}: not YAML: {error}", remedy="mend the line named") from None
    except RecursionError:
        raise ConfigRefused(f"{source}: is nested too deeply", remedy=FLATTER) from None
    except (ValueError, OverflowError) as error:
        # A number or a date as YAML writes them, and no number or date.
        raise no_such_value(source, error) from None
    if not isinstance(values, dict):
        raise ConfigRefused(f"{source}: holds no plan", remedy="start with 'name: ...'")
    unnamed = next((key for key in values if not isinstance(key, str)), None)
    if unnamed is not None:
        raise ConfigRefused(
            f"{source}: a key is no word", value=f"{unnamed!r}", remedy="quote it, or remove it"
        )
    return parse_plan(values, source=source)


def parse_plan(values: dict[str, Any], *, source: Path | str) -> Plan:
    """Return the plan that `values` describe, importing a useq sequence by its shape."""
    if not FIELDS.isdisjoint(values):
        return plan_from_useq(values, source=source)
    plan = Plan.read(values, source=source)
    return plan if plan.sequence is None else with_sequence(plan, source=source)


class _Page(yaml.SafeLoader):
    """Reads a page in which every key is given once and no mapping is merged into another, and
    whose numbers are those that people read.

    Of a key given twice the last would count, in silence. Merged mappings multiply as aliases do,
    while the page is read. YAML 1.1 takes 010 for 8, 1:30 for 90 and 2026-11-30 for a date, which
    is no name: as in YAML 1.2, they are words here, and 010 is 10 where a number is meant.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next value, refusing what nobody nests so deeply: it takes seconds."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise RecursionError
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise _told(key, "merges another mapping by '<<': write its keys out")
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _told(key, f"the key '{key.value[:60]}' is given twice: remove one")
                seen.add(key.value)


_Page.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in ways if tag not in RESOLVED_HERE]
    for first, ways in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Page.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, list("-+0123456789"))
_Page.add_implicit_resolver("tag:yaml.org,2002:float", REAL, list("-+0123456789."))


def _told(node: yaml.Node, what: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=what, problem_mark=node.start_mark)


def _written_out(value: Any, counted: dict[int, int]) -> int:
    """Return how many values there are with every alias written out.

    Raises RecursionError for one that holds itself.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in counted:
        inside = value.values() if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_written_out(one, counted) for one in inside)
    return counted[id(value)]
