"""Draw outlines to the edge that can be seen, where a hand drew them generously.

A hand stays some micrometres outside of what it goes around, on one side more than on the other. Of
tiles of which a third is tissue that decides the class, and no network can learn it. So what lies
just within an outline, is as bare as the resin outside and goes on there is taken away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.config.data import SectionConfig
from export.datasets.section import Mask, paint, read_labels, read_picture
from runtime.errors import InputRefused
from runtime.record.storage import write_durably

# Where a file keeps what was drawn by hand.
BY_HAND = "by_hand"
# Bare resin is taken away this far within an outline; beyond it is a lumen in the tissue.
REACH_UM = 12.0
# What is darker than the resin around it by more than this, in grey levels, is seen; and the resin
# around is the brightest within this distance.
DEPTH, AROUND_UM, SOFTEN_PX = 12.0, 10.0, 1.0
# Between grains and threads that lie closer than this is no bare resin; smaller specks are nothing.
GAP_UM, SPECK_UM2 = 5.0, 30.0
# What is left of an area and is narrower than this is no part of it.
SLIVER_UM = 5.0
# Of what lies as far within as is taken away, so much may be gone: the committed sections lose a
# tenth, the same outlines on a mirrored, moved or shrunken picture 0.3 to 0.9.
MOST_ASTRAY = 0.2
# How far a polygon may leave the edge it follows.
POLYGON_PX = 1.0


def draw_outlines(section: SectionConfig, base: Path) -> float:
    """Draw the outlines in a section's labels to the edge that can be seen, in their file, and
    return the share of the area that was taken away.

    What was drawn by hand stays in the file, under `BY_HAND`, and is what is drawn from: doing it
    once more changes nothing. Raises InputRefused naming the file at fault, also where it outlines
    nothing, or not what the picture shows.
    """
    file = base / section.labels
    labels = read_labels(file)
    by_hand = labels.get(BY_HAND, labels["polygons"])
    picture = read_picture(
        base / section.image,
        image_pixel_size_um=section.image_pixel_size_um,
        pixel_size_um=section.pixel_size_um,
    )
    drawn = paint(
        labels | {"polygons": by_hand}, shape=picture.shape, pixel_size_um=section.pixel_size_um
    )
    others = [name for name in labels["classes"] if name != labels["positive"]]
    if not drawn.any() or not others:
        raise InputRefused(
            f"labels {file} outline nothing that could be drawn anew",
            value=f"{len(by_hand)} polygons; classes {', '.join(labels['classes'])}",
            limit=f"a polygon of {labels['positive']} within the picture; two classes",
            remedy="outline it by hand first",
        )
    seen = to_the_edge(picture, drawn, pixel_size_um=section.pixel_size_um)
    astray = _astray(drawn, seen, section.pixel_size_um)
    if astray > MOST_ASTRAY:
        raise InputRefused(
            f"outlines in {file} do not follow what {section.image} shows",
            value=f"along {100 * astray:.0f} % of them no edge within {REACH_UM:g} µm",
            limit=f"{100 * MOST_ASTRAY:.0f} %",
            remedy="see that picture and pixel sizes are theirs, or outline it more closely",
        )
    scale = section.pixel_size_um / labels["pixel_size_um"]
    polygons = _polygons(seen, scale=scale, classes=(labels["positive"], others[0]))
    write_durably(file, _text(labels | {"polygons": polygons, BY_HAND: by_hand}).encode())
    return 1 - float(seen.sum()) / float(drawn.sum())


def to_the_edge(image: NDArray[np.uint8], tissue: Mask, *, pixel_size_um: float) -> Mask:
    """Return the (y, x) mask of 0 and 1 without the bare resin at the rim of its areas.

    `image` is (y, x) grey levels, bright where there is nothing.
    """
    rim = (_within_um(tissue, pixel_size_um) <= REACH_UM) & _bare(image, pixel_size_um)
    count, parts = cv2.connectedComponents(rim.astype(np.uint8), connectivity=4)
    outside = np.zeros(count, np.bool_)
    outside[np.unique(parts[rim & (tissue == 0)])] = True
    left = np.where(rim & outside[parts], 0, tissue).astype(np.uint8)
    return np.asarray(
        cv2.morphologyEx(left, cv2.MORPH_OPEN, _disc(SLIVER_UM, pixel_size_um)), np.uint8
    )


def _astray(drawn: Mask, seen: Mask, pixel_size_um: float) -> float:
    """Return along which share of the outlines no edge was met within reach."""
    within_um = _within_um(drawn, pixel_size_um)
    last = (within_um > REACH_UM - 1.5) & (within_um <= REACH_UM - 0.5)
    return float((seen[last] == 0).mean()) if last.any() else 0.0


def _within_um(tissue: Mask, pixel_size_um: float) -> NDArray[np.float32]:
    """Return how far each pixel lies within its outline, (y, x), 0 outside."""
    distance_px = cv2.distanceTransform(tissue, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance_px * np.float32(pixel_size_um))


def _bare(image: NDArray[np.uint8], pixel_size_um: float) -> NDArray[np.bool_]:
    """Return where nothing is seen, (y, x)."""
    around = cv2.morphologyEx(
        cv2.GaussianBlur(image, (0, 0), 2 * SOFTEN_PX),
        cv2.MORPH_CLOSE,
        _disc(2 * AROUND_UM, pixel_size_um),
    )
    level = cv2.GaussianBlur(around.astype(np.float32), (0, 0), AROUND_UM / pixel_size_um)
    dark = level - cv2.GaussianBlur(image, (0, 0), SOFTEN_PX) > DEPTH
    seen = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_CLOSE, _disc(GAP_UM, pixel_size_um))
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    counts = sizes[:, cv2.CC_STAT_AREA] * pixel_size_um**2 >= SPECK_UM2
    counts[0] = False
    return np.asarray(~counts[parts], np.bool_)


def _disc(diameter_um: float, pixel_size_um: float) -> Mask:
    side = 2 * round(diameter_um / pixel_size_um / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _polygons(mask: Mask, *, scale: float, classes: tuple[str, str]) -> list[dict[str, Any]]:
    """Return polygons that paint a mask, a hole after what it is a hole in."""
    edges, nested = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    polygons: list[tuple[int, dict[str, Any]]] = []
    for index, edge in enumerate(edges):
        depth, above = 0, nested[0][index][3]
        while above >= 0:
            depth, above = depth + 1, nested[0][above][3]
        points = cv2.approxPolyDP(edge, POLYGON_PX, True)[:, 0] * scale
        name = classes[depth % 2]
        polygons.append((depth, {"class": name, "points": np.rint(points).astype(int).tolist()}))
    return [polygon for _, polygon in sorted(polygons, key=lambda one: one[0])]


def _text(labels: dict[str, Any]) -> str:
    """Return labels as JSON, a polygon a line."""
    parts = [_compact(labels)[1:-1]]
    for name in ("polygons", BY_HAND):
        lines = ",\n  ".join(map(_compact, labels[name]))
        parts.append(f'"{name}":[\n  {lines}\n ]')
    return "{" + ",".join(parts) + "}\n"


def _compact(plain: dict[str, Any]) -> str:
    return json.dumps(
        {k: v for k, v in plain.items() if k not in ("polygons", BY_HAND)}, separators=(",", ":")
    )
