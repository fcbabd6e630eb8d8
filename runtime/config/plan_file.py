"""Plans as files: a YAML page a microscopist can read, or a useq sequence."""

from __future__ import annotations

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
    """Reads a page in which every key is given once and no mapping is merged into another.

    Of a key given twice the last would count, in silence. Merged mappings multiply as aliases do,
    while the page is read.
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
