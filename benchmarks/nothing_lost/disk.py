"""A disk as a power cut leaves it: what was synced is there, of the rest any part may be.

It replays the log of the shim. A file's content is durable when it was synced, a name when its
folder was; a rename counts whole or not at all. Stricter than file systems are: syncing a file does
not make its name durable.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

HEADER = struct.Struct("<c7xqqqii")
MODELS = ("nothing", "names", "prefix", "some", "torn", "everything")
"""What of the unsynced arrives: nothing; names but no content (files of length 0 after a rename);
what came first; any part; the same, writes cut at sectors; all of it."""
SECTOR = 512
IN_MEMORY = "-shm"
"""End of SQLite's shared index, which it makes anew after a crash."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changed something; `op` is the shim's letter."""

    op: str
    inode: int
    offset: int
    path: str
    target: str
    data: bytes


def calls(log: Path) -> Iterator[Call]:
    """Yield what a log holds, in order."""
    with log.open("rb") as file:
        while head := file.read(HEADER.size):
            op, inode, offset, length, first, second = HEADER.unpack(head)
            path, target = file.read(first).decode(), file.read(second).decode()
            data = file.read(length) if op in (b"w", b"s") else b""
            yield Call(op.decode(), inode, offset, path, target, data)


@dataclass
class Node:
    """A file or a folder: what of it is durable, and what may be."""

    content: bytearray = field(default_factory=bytearray)
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)
    names: dict[str, Node] | None = None

    def now(self) -> bytearray:
        """Return a file's content as the running system sees it."""
        return _applied(bytearray(self.content), self.writes)


@dataclass
class Change:
    """Names that come and go together: (folder, name, what it is from then on)."""

    steps: list[tuple[Node, str, Node | None]]


class Disk:
    """The disk below a folder, call by call."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = Node(names={})
        self._seen: dict[str, Node] = {str(root): self._top}
        self._by_inode: dict[int, Node] = {}
        self._pending: list[Change] = []

    def take(self, call: Call) -> None:
        """Take in the next call."""
        if call.op in "wsz":
            self._write(call)
        elif call.op == "c":
            node = self._by_inode[call.inode] = Node()
            self._name(call.path, node)
        elif call.op == "t":
            if (node := self._by_inode.get(call.inode)) is not None:
                node.writes.append((0, None))
        elif call.op == "m":
            self._name(call.path, Node(names={}))
        elif call.op == "u":
            self._name(call.path, None)
        elif call.op == "r":
            self._rename(call.path, call.target)
        elif call.op == "d":
            self._sync_folder(call.path)

    def file(self, path: str) -> bytearray | None:
        """Return a file's content as the running system sees it, None for none."""
        node = self._seen.get(path)
        return None if node is None else node.now()

    def leave(self, model: str, rng: Random, place: Path) -> None:
        """Write what a power cut would leave now into an empty folder."""
        names: dict[int, dict[str, Node]] = {}

        def inside(node: Node) -> dict[str, Node]:
            return names.setdefault(id(node), dict(node.names or {}))

        for change in self._arrived(model, rng):
            for folder, name, node in change.steps:
                if node is None:
                    inside(folder).pop(name, None)
                else:
                    inside(folder)[name] = node

        def put(node: Node, at: Path) -> None:
            if node.names is None:
                if not at.name.endswith(IN_MEMORY):
                    at.write_bytes(_left(node, model, rng))
                return
            at.mkdir(exist_ok=True)
            for name, child in inside(node).items():
                put(child, at / name)

        put(self._top, place)

    def _arrived(self, model: str, rng: Random) -> list[Change]:
        if model == "nothing":
            return []
        if model == "prefix":
            return self._pending[: rng.randint(0, len(self._pending))]
        if model in ("some", "torn"):
            return [change for change in self._pending if rng.random() < 0.5]
        return self._pending

    def _write(self, call: Call) -> None:
        node = self._by_inode.get(call.inode)
        if node is None:
            return
        if call.op == "s":
            node.content, node.writes = bytearray(call.data), []
        else:
            node.writes.append((call.offset, call.data if call.op == "w" else None))

    def _name(self, path: str, node: Node | None) -> None:
        folder = self._seen[os.path.dirname(path)]  # noqa: PTH120 - paths of another time
        self._pending.append(Change([(folder, os.path.basename(path), node)]))  # noqa: PTH119
        if node is None:
            self._seen.pop(path, None)
        else:
            self._seen[path] = node

    def _rename(self, path: str, target: str) -> None:
        node = self._seen.pop(path)
        away, there = (os.path.split(one) for one in (path, target))
        steps: list[tuple[Node, str, Node | None]] = [
            (self._seen[away[0]], away[1], None), (self._seen[there[0]], there[1], node),
        ]  # fmt: skip
        self._pending.append(Change(steps))
        below = [one for one in self._seen if one.startswith(f"{path}/")]
        for one in below:
            self._seen[target + one[len(path) :]] = self._seen.pop(one)
        self._seen[target] = node

    def _sync_folder(self, path: str) -> None:
        folder = self._seen.get(path)
        waiting = []
        for change in self._pending:
            if not any(step[0] is folder for step in change.steps):
                waiting.append(change)
                continue
            for into, name, node in change.steps:
                assert into.names is not None
                if node is None:
                    into.names.pop(name, None)
                else:
                    into.names[name] = node
        self._pending = waiting


def _applied(content: bytearray, writes: list[tuple[int, bytes | None]]) -> bytearray:
    for offset, data in writes:
        if data is None:
            content = content[:offset].ljust(offset, b"\0")
            continue
        content = content.ljust(offset, b"\0")
        content[offset : offset + len(data)] = data
    return content


def _left(node: Node, model: str, rng: Random) -> bytearray:
    """Return what is left of a file's content."""
    writes = node.writes
    if model in ("nothing", "names"):
        writes = []
    elif model == "prefix":
        writes = writes[: rng.randint(0, len(writes))]
    elif model in ("some", "torn"):
        writes = [write for write in writes if rng.random() < 0.5]
    if model == "torn":
        writes = [
            (at, data if data is None else data[: rng.randint(0, len(data)) // SECTOR * SECTOR])
            for at, data in writes
        ]
    return _applied(bytearray(node.content), writes)
