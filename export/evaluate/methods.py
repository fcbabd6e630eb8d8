"""Which classifiers a table compares: rows are inputs, columns are ways of fusing them.

The layout is that of Wetzer et al., "Towards Automated Multiscale Imaging and Analysis in TEM".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from runtime.preprocess.spec import TEXTURE, input_parts

Kind = Literal["none", "early", "mid", "late"]
COLUMNS: tuple[Kind, ...] = get_args(Kind)
INTENSITY = "intensity"
SCALES = {"LBP1,8": "lbp1", "LBP2,8": "lbp2", "LBP3,8": "lbp3"}
MULTISCALE = "multiscale"
ENSEMBLE, BASELINE = "ensemble", "SVM"


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """One trained network: its architecture and the input it sees."""

    architecture: str
    input_name: str


@dataclass(frozen=True, slots=True, order=True)
class Method:
    """Where a result stands: the table it belongs to, its row and its column."""

    group: str
    row: str
    column: str

    def __str__(self) -> str:
        return f"{self.group}, {self.row}, {self.column}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A method made of networks, in the order in which their votes are joined."""

    method: Method
    kind: Kind
    streams: tuple[Stream, ...]

    @property
    def slug(self) -> str:
        """A file name for it."""
        place = (self.method.group, self.method.row, self.method.column)
        return "_".join(place).replace(",", "-").replace(" ", "")


def paper_cells(architectures: Sequence[str], *, texture: str) -> list[Cell]:
    """Return the cells of the whole table, and an ensemble when there is more than one network.

    The paper's, and beside them the texture of all pixels, read by the network named `texture`.
    """
    cells = [cell for architecture in architectures for cell in _of_one(architecture, texture)]
    if len(architectures) > 1:
        joined = tuple(Stream(architecture, INTENSITY) for architecture in architectures)
        cells.append(Cell(Method(ENSEMBLE, INTENSITY, "late"), "late", joined))
    return cells


def distinct_streams(cells: Iterable[Cell]) -> list[Stream]:
    """Return every network that the cells need, once, in the order of first use."""
    return list(dict.fromkeys(stream for cell in cells for stream in cell.streams))


def restricted(cells: Iterable[Cell], parts: Sequence[str]) -> list[Cell]:
    """Return the cells whose networks see nothing but these parts ("intensity", "lbp1", ...)."""
    return [
        cell
        for cell in cells
        if all(set(input_parts(stream.input_name)) <= set(parts) for stream in cell.streams)
    ]


def _of_one(architecture: str, texture: str) -> list[Cell]:
    def cell(row: str, kind: Kind, *inputs: str) -> Cell:
        streams = tuple(
            Stream(texture if name == TEXTURE else architecture, name) for name in inputs
        )
        return Cell(Method(architecture, row, kind), kind, streams)

    cells = [cell(INTENSITY, "none", INTENSITY)]
    for row, lbp in SCALES.items():
        cells += [
            cell(row, "none", lbp),
            cell(row, "early", f"{INTENSITY}+{lbp}"),
            cell(row, "mid", INTENSITY, lbp),
            cell(row, "late", INTENSITY, lbp),
        ]
    every = tuple(SCALES.values())
    cells.append(cell(MULTISCALE, "early", "+".join((INTENSITY, *every))))
    cells.append(cell(MULTISCALE, "late", INTENSITY, *every))
    cells += [
        cell(TEXTURE, "none", TEXTURE),
        cell(TEXTURE, "mid", INTENSITY, TEXTURE),
        cell(TEXTURE, "late", INTENSITY, TEXTURE),
    ]
    return cells
