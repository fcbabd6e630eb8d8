// One tile: its image, its label, how it was focused, its seams, and why it is doubtful.

import { address, get } from "./api.js";
import { KINDS } from "./colours.js";
import { curve } from "./curve.js";
import { el, fact, table } from "./dom.js";
import { say } from "./house.js";
import { date } from "./times.js";

/** Shows a tile of a run; `chosen` is called with the number on show, `step` moves to a neighbour in
 *  the order taken. */
export class TilePanel {
  constructor(tiles, chosen) {
    this._tiles = tiles;
    this._chosen = chosen;
    this.n = null;
    this.node = el("section", { class: "part tile", id: "tile", "aria-live": "polite" },
      el("h2", {}, "Tile"),
      el("p", { class: "soft" }, "Choose a tile on the map, or a number: "), this._chooser());
  }

  _chooser() {
    const number = el("input", {
      type: "number", min: 0, inputmode: "numeric", "aria-label": "Number of a tile",
      value: this.n ?? "",
    });
    return el("form", {
      class: "inline",
      onsubmit: (event) => {
        event.preventDefault();
        if (number.value !== "") this.show(Number(number.value));
      },
    },
    el("button", { type: "button", "aria-label": "Previous tile", onclick: () => this._step(-1) }, "‹"),
    number, el("button", {}, "Show"),
    el("button", { type: "button", "aria-label": "Next tile", onclick: () => this._step(1) }, "›"));
  }

  _step(by) {
    const numbers = [...this._tiles.all.keys()].sort((a, b) => a - b);
    const at = numbers.indexOf(this.n);
    const next = this.n === null ? numbers[0] : numbers[at + by];
    if (next !== undefined) this.show(next);
  }

  /** Fetch a tile and show it. */
  async show(n) {
    let tile;
    try {
      tile = await get(`/runs/${this._tiles.run}/tiles/${n}`);
    } catch (refusal) {
      say(refusal.message, true);
      return;
    }
    this.n = n;
    this._chosen(n);
    this.node.replaceChildren(el("h2", {}, `Tile ${n} `, el("code", {}, tile.id)), this._chooser(),
      el("div", { class: "two" }, el("div", {}, picture(this._tiles.run, tile), facts(tile)),
        el("div", {}, why(tile), focus(tile), seams(tile), timings(tile))));
  }
}

function picture(run, tile) {
  const path = address(`/runs/${run}/tiles/${tile.n}/image.jpg`);
  const shown = el("img", {
    src: `${path}?width=768`, alt: `Frame of tile ${tile.id}`, width: tile.size_px[1],
    height: tile.size_px[0], class: "frame-image",
    onerror: () => shown.replaceWith(el("p", { class: "late" }, "The frame cannot be read.")),
  });
  return el("a", { href: `${path}?width=4096`, target: "_blank", rel: "noopener" }, shown);
}

function facts(tile) {
  const [x, y, z] = tile.stage_um;
  return el("dl", { class: "facts" },
    tile.label && fact("Label", `${tile.label.name}, ${(tile.label.score * 100).toFixed(0)} %`),
    tile.label && fact("Model", tile.label.model || "–"),
    tile.label?.strangeness !== null && tile.label
      ? fact("Strangeness", `${tile.label.strangeness.toFixed(2)} (limit 1)`) : null,
    fact("State", tile.state ?? "not judged yet"),
    fact("Stage", `x ${x.toFixed(1)}, y ${y.toFixed(1)}, z ${z.toFixed(1)} µm`),
    tile.place && fact("In the map",
      `x ${tile.place.x_px.toFixed(1)}, y ${tile.place.y_px.toFixed(1)} px, σ ${tile.place.sigma_px.toFixed(2)} px`),
    fact("Taken", tile.taken ? date(tile.taken) : tile.simulated ? "by the simulated microscope" : "–"),
    fact("With", `${tile.objective}, ${tile.light}, ${tile.exposure_ms} ms`));
}

function why(tile) {
  const reasons = [
    ...tile.why.map((one) => `${KINDS[one.kind] ?? one.kind}: ${one.reason}`), ...tile.suspicions,
  ];
  return el("div", {}, el("h3", {}, "Why look at it"), reasons.length
    ? el("ul", { class: "reasons" }, reasons.map((reason) => el("li", {}, reason)))
    : el("p", { class: "soft" }, "Nothing speaks against this tile."));
}

function focus(tile) {
  if (!tile.focus) return null;
  const { source, z_um, sigma_z_um, status, reason, exposures } = tile.focus;
  const how = tile.focus.looked ? `looked for by ${source}, ${exposures} exposures` : `by ${source}`;
  return el("div", {}, el("h3", {}, "Focus"),
    el("p", { class: status === "ok" ? "" : "late" },
      `z ${z_um.toFixed(2)} µm, σ ${sigma_z_um.toFixed(2)} µm, ${how}: ${status}`
      + (reason ? `, ${reason}` : "")), curve(tile.focus));
}

function seams(tile) {
  if (!tile.seams.length) return null;
  const px = (value) => (value === null ? "–" : value.toFixed(2));
  return el("div", {}, el("h3", {}, "Seams"), table("Seams of this tile",
    ["With", "n:Mismatch px", "n:Residual px", "n:NCC", "Method", "Suspect"],
    tile.seams.map((seam) => [
      el("span", { class: `seam ${seam.step}` }, seam.with), px(seam.mismatch_px),
      px(seam.residual_px), seam.ncc.toFixed(2), seam.method, seam.suspicions.join("; "),
    ])));
}

function timings(tile) {
  if (!tile.timings.length) return null;
  return el("details", {}, el("summary", {}, "Timing"), table("Timing of this tile",
    ["Stage", "n:ms", "n:budget ms"],
    tile.timings.map((row) => [
      row.stage, el("span", { class: row.missed && "late" }, row.ms.toFixed(1)),
      row.budget_ms?.toFixed(0) ?? "–",
    ])));
}
