"""Which classifiers a table compares: rows are inputs, columns are ways of fusing them.

The layout is that of Wetzer et al., "Towards Automated Multiscale Imaging and Analysis in TEM".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLUMNS = ("none", "early", "mid", "late")
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
    streams: tuple[Stream, ...]


def paper_cells(architectures: Sequence[str]) -> list[Cell]:
    """Return the cells of the whole table, and an ensemble when there is more than one network."""
    cells = [cell for architecture in architectures for cell in _of_one(architecture)]
    if len(architectures) > 1:
        joined = tuple(Stream(architecture, INTENSITY) for architecture in architectures)
        cells.append(Cell(Method(ENSEMBLE, INTENSITY, "late"), joined))
    return cells


def distinct_streams(cells: Iterable[Cell]) -> list[Stream]:
    """Return every network that the cells need, once, in the order of first use."""
    return list(dict.fromkeys(stream for cell in cells for stream in cell.streams))


def _of_one(architecture: str) -> list[Cell]:
    def cell(row: str, column: str, *inputs: str) -> Cell:
        streams = tuple(Stream(architecture, name) for name in inputs)
        return Cell(Method(architecture, row, column), streams)

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
    return cells
