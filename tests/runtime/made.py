"""Records as a night makes them, for tests that only care about some of their fields."""

from runtime.instant import Instant
from runtime.record.rows import StoredTile, TileFile
from runtime.tile import Imaging, Phase, Shot, StagePosition

START_S = 1_795_000_000.0


def imaging(objective: str = "10x", pixel_size_um: float = 0.5) -> Imaging:
    return Imaging(
        objective=objective,
        pixel_size_um=pixel_size_um,
        light="brightfield",
        brightness=0.5,
        exposure_ms=10.0,
    )


def shot(
    tile_id: str = "r000_c000",
    *,
    at_um: tuple[float, float, float] = (0.0, 0.0, 0.0),
    row: int = 0,
    column: int = 0,
    phase: Phase = "overview",
    region_id: str | None = None,
    how: Imaging | None = None,
    time_s: float = 0.0,
    simulated: bool = True,
) -> Shot:
    x_um, y_um, z_um = at_um
    return Shot(
        tile_id=tile_id,
        phase=phase,
        region_id=region_id,
        row=row,
        column=column,
        stage=StagePosition(x_um=x_um, y_um=y_um, z_um=z_um),
        imaging=how or imaging(),
        taken=Instant(boot_id="test", monotonic_s=time_s, wall_s=START_S + time_s),
        simulated=simulated,
    )


def stored(
    of: Shot, *, seq: int = 0, shape_px: tuple[int, int] = (4, 6), folder: str = "tiles"
) -> StoredTile:
    height_px, width_px = shape_px
    file = f"{folder}/{of.tile_id}.tif"
    return StoredTile(
        seq=seq,
        shot=of,
        file=TileFile(file=file, sha256="0" * 64, height_px=height_px, width_px=width_px),
    )
