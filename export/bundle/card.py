"""The model card: what a model is, what it was made of, how good it is and what it cannot do.

The headings follow Mitchell et al. 2019, doi:10.1145/3287560.3287596, as far as they fit a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LIMITS = "## What it cannot do"
SETS = {"": "validation", "test_": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the card of a model says of its task.

    `purpose` is a sentence on what the model is for and `takes` say, a line each, what pictures it
    is given; `eight_bits` says what int8 has in eight bits where no layer was kept in fp32, `alike`
    what it and fp32 have in common; `measures` gives the metrics that have a row, in order; `notes`
    stand under the metrics; `refuses` and `limits`, a line each, under what the model cannot do.
    """

    purpose: str
    takes: tuple[str, ...]
    eight_bits: str
    alike: str
    measures: Mapping[str, str]
    notes: tuple[str, ...]
    refuses: tuple[str, ...]
    limits: tuple[str, ...]


def model_card(about: Mapping[str, Any], words: Words) -> str:
    """Return the card, in Markdown, of a model whose manifest fields are `about`."""
    sections = (
        [f"# {about['name']} {about['version']}", "", words.purpose],
        ["## What it takes", "", *words.takes],
        ["## How it is made", "", *_made(about["origin"], words)],
        ["## How good it is", "", *_quality(about["origin"]["metrics"], words)],
        [LIMITS, "", *_limits(about, words)],
    )
    return "\n".join("\n".join([*section, ""]) for section in sections)


def with_remarks(card: str, remarks: str) -> str:
    """Return the card with its makers' remarks: what the answers mean, and which failures were
    seen.

    They stand first under what the model cannot do.
    """
    if not remarks.strip():
        return card
    before, heading, after = card.partition(f"{LIMITS}\n\n")
    return f"{before}{heading}{remarks.strip()}\n{after}"


def _made(origin: Mapping[str, Any], words: Words) -> Iterator[str]:
    training, quantisation = origin["training"], origin.get("quantisation") or {}
    kept = quantisation.get("kept_fp32", [])
    rows = {
        "data": training["data"],
        "licence of the data": training["licence"],
        "split, by specimen": training["split"],
        "seed": ", ".join(map(str, training["seeds"])),
        "int8": ", and not ".join([words.eight_bits, *kept]),
    }
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in rows.items())


def _quality(metrics: Mapping[str, Mapping[str, float]], words: Words) -> Iterator[str]:
    precisions = list(metrics)
    yield f"| images | measure | {' | '.join(precisions)} |"
    yield "|---|---|" + "---|" * len(precisions)
    for prefix, images in SETS.items():
        for key, measure in words.measures.items():
            values = [metrics[precision].get(prefix + key) for precision in precisions]
            if all(value is not None for value in values):
                cells = " | ".join(f"{value:.3f}" for value in values)
                yield f"| {images} ({_count(metrics, prefix)}) | {measure} | {cells} |"
    yield ""
    for prefix, images in SETS.items():
        agreement = metrics.get("int8", {}).get(f"{prefix}agreement")
        if agreement is not None:
            yield f"Int8 {words.alike} {agreement:.1%} of the {images} images as fp32 does."
    yield from ("", *words.notes)


def _limits(about: Mapping[str, Any], words: Words) -> Iterator[str]:
    yield from words.refuses
    split = about["origin"]["training"]["split"]
    yield f"- It has seen only what is named above ({split}). Another"
    yield "  instrument, detector, stain or material: evaluate before use, or train anew."
    yield from words.limits


def _count(metrics: Mapping[str, Mapping[str, float]], prefix: str) -> int:
    return int(next(iter(metrics.values())).get(f"{prefix}tiles", 0))
