"""A small data set in the layout of DEMIS's, made of smooth noise; every tile's place is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

TILE_PX, OVERLAP = 256, 0.25
ORIGIN_PX = 40.0


def texture(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Return a (y, x) uint16 picture with detail at several sizes."""
    random = np.random.default_rng(seed)
    noise = [random.standard_normal(shape) for _ in range(3)]
    detail = sum(
        s * cv2.GaussianBlur(n, (0, 0), s) for s, n in zip((1.5, 3.0, 8.0), noise, strict=True)
    )
    scaled = 30000 + 8000 * detail / detail.std()
    return np.clip(scaled, 0, 65535).astype(np.uint16)


def affine(turn_deg: float, centre_px: tuple[float, float], tile_px: int = TILE_PX) -> np.ndarray:
    """Return the (2, 3) map from a tile's pixels to the reference's that puts its centre there."""
    cosine, sine = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.full(2, (tile_px - 1) / 2)
    return np.column_stack([turn, np.array(centre_px) - turn @ middle])


def write_set(
    folder: Path,
    *,
    seed: int = 0,
    rows: int = 2,
    columns: int = 2,
    turn_deg: float = 2.0,
    shift_px: float = 3.0,
    noise: float = 0.0,
    grids: int = 1,
) -> dict[str, Any]:
    """Write the data set and return its truth."""
    random = np.random.default_rng(seed)
    step = TILE_PX * (1 - OVERLAP)
    made = []
    for index in range(grids):
        name = f"grid_{index:03d}"
        (folder / name).mkdir(parents=True)
        shape = tuple(round(ORIGIN_PX * 2 + step * (n - 1) + TILE_PX) for n in (rows, columns))
        picture = texture(shape, 10 * seed + index)
        cv2.imwrite(str(folder / name / "reference.png"), picture)
        tiles = []
        for row in range(rows):
            for column in range(columns):
                nominal = (ORIGIN_PX + column * step, ORIGIN_PX + row * step)
                off = random.uniform(0, shift_px, 2)
                turn = random.uniform(-turn_deg, turn_deg)
                centre = np.array(nominal) + (TILE_PX - 1) / 2 + off
                matrix = affine(turn, (centre[0], centre[1]))
                how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
                tile = cv2.warpAffine(picture, matrix, (TILE_PX, TILE_PX), flags=how)
                grain = noise * random.standard_normal(tile.shape)
                file = f"{name}/tile_r{row:03d}_c{column:03d}.png"
                cv2.imwrite(
                    str(folder / file), np.clip(tile + grain, 0, 65535).round().astype(np.uint16)
                )
                tiles.append(
                    {
                        "file": file,
                        "row": row,
                        "column": column,
                        "nominal_px": list(nominal),
                        "to_reference": matrix.tolist(),
                    }
                )
        made.append(
            {
                "name": name,
                "rows": rows,
                "columns": columns,
                "tile_shape": [TILE_PX, TILE_PX],
                "nominal_overlap": OVERLAP,
                "reference": f"{name}/reference.png",
                "tiles": tiles,
            }
        )
    truth = {"format": 1, "seed": seed, "source": ["smooth noise"], "grids": made}
    (folder / "truth.json").write_text(json.dumps(truth))
    return truth
