"""The live line: progress, speed and errors of a scan while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runtime.night.pipeline import TileDone
from runtime.ports import Clock
from runtime.record.budget import Meter
from runtime.tile import Label

PLAIN_EVERY = 10


class LiveLine:
    """Shows tiles done/total, ETA, classes, focus error, p95 per stage against budget and the
    stitch residual: in place on a terminal, as a plain line every few tiles elsewhere.
    `first_tile_s` is how long after this object was made the first tile was done.

    `labels` are those of earlier sessions: what is counted is the whole run. While there may be
    `visits` to come, each of about `visit_s`, the time that is left is told as at most.
    """

    def __init__(
        self,
        console: Console,
        *,
        meter: Meter,
        clock: Clock,
        simulated: bool,
        labels: Sequence[Label] = (),
        visits: int = 0,
        visit_s: float = 0.0,
    ) -> None:
        self._console, self._meter, self._clock = console, meter, clock
        self._badge = "SIMULATED " if simulated else ""
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._phase, self._total, self._done, self._start_s = "", 0, 0, clock.now_s()
        self._first_done = 0
        self._opened_s = clock.now_s()
        self.first_tile_s: float | None = None
        self._labels = Counter(label.name for label in labels)
        self._doubted = sum(not label.trusted for label in labels)
        self._visits, self._visit_s = visits, visit_s
        self._latest: TileDone | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.update(self._picture())
            self._live.stop()
        self._console.print(self._headline())

    def phase(self, name: str, *, total: int, done: int) -> None:
        """Begin a phase: "overview" or "visit"."""
        self._phase, self._total = name, total
        self._done = self._first_done = done
        self._start_s = self._clock.now_s()

    def tile_done(self, tile: TileDone) -> None:
        """Count a finished tile and refresh."""
        self._done += 1
        if self.first_tile_s is None:
            self.first_tile_s = self._clock.now_s() - self._opened_s
        self._latest = tile
        if tile.label is not None:
            self._labels[tile.label] += 1
            self._doubted += not tile.trusted
        if self._console.is_terminal:
            self._live.update(self._picture())
        elif self._done % PLAIN_EVERY == 0 or self._done == self._total:
            self._console.print(self._headline())

    def _headline(self) -> Text:
        parts = [f"{self._badge}{self._phase} {self._done}/{self._total}", f"ETA {self._eta()}"]
        if self._labels:
            parts.append(" ".join(f"{name} {n}" for name, n in sorted(self._labels.items())))
        if self._doubted:
            parts.append(f"not to be trusted {self._doubted}")
        if self._latest is not None:
            parts.append(f"focus ±{self._latest.sigma_z_um:.2f} µm")
            if self._latest.residual_px is not None:
                parts.append(f"stitch {self._latest.residual_px:.2f} px")
        return Text(" · ".join(parts))

    def _eta(self) -> str:
        fresh = self._done - self._first_done
        if fresh <= 0:
            return "–"
        a_tile_s = (self._clock.now_s() - self._start_s) / fresh
        left_s = a_tile_s * (self._total - self._done)
        to_come = self._visits if self._phase == "overview" else 0
        left_s += to_come * max(a_tile_s, self._visit_s)
        hours, minutes = divmod(int(left_s) // 60, 60)
        most = "at most " if to_come else ""
        return f"{most}{hours}:{minutes:02d}:{int(left_s) % 60:02d}"

    def _picture(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        rows = self._meter.table()
        table.add_row(*(Text(row.stage, style="dim") for row in rows))
        table.add_row(
            *(
                Text(
                    f"{row.p95_ms:.0f}/{row.budget_ms:.0f} ms",
                    style="red" if row.late else "green",
                )
                for row in rows
            )
        )
        return Group(self._headline(), table)
