// The focus surface: the height of every tile, where it lies on the map.

import { sequential } from "../colours.js";
import { el } from "../dom.js";

const SIDE = 420;

/** A figure of the surface; `opened` is called with the number of a tile that is clicked. */
export class FocusMap {
  constructor(tiles, opened) {
    this._tiles = tiles;
    this._canvas = el("canvas", { width: SIDE, height: SIDE, role: "img", class: "focus-map" });
    this._words = el("p", { class: "axis" });
    this._lead = el("p", { class: "soft" });
    this.node = el("section", { class: "part" }, el("h2", {}, "Focus map"), this._lead,
      el("figure", {}, this._canvas, this._words));
    this._cells = [];
    this._canvas.addEventListener("click", (event) => {
      const box = this._canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * SIDE;
      const y = ((event.clientY - box.top) / box.height) * this._canvas.height;
      const hit = this._cells.find((cell) =>
        x >= cell.x && x < cell.x + cell.wide && y >= cell.y && y < cell.y + cell.tall);
      if (hit) opened(hit.n);
    });
  }

  /** Draw what is known now; `words` say how it was found. */
  draw(words) {
    this._lead.textContent = words || "No tile was focused yet.";
    const tiles = this._tiles.overview().filter((tile) => tile.z_um !== null && tile.x_px !== null);
    const heights = this._tiles.heights();
    this.node.hidden = tiles.length === 0;
    if (!tiles.length || !heights) return;
    const [low, high] = heights;
    const xs = tiles.map((tile) => tile.x_px), ys = tiles.map((tile) => tile.y_px);
    const across = spacing(xs), down = spacing(ys);
    const [wide, tall] = [across ?? down ?? 1, down ?? across ?? 1];
    const [x0, y0] = [lowest(xs), lowest(ys)];
    const scale = SIDE / Math.max(highest(xs) - x0 + wide, (highest(ys) - y0 + tall) / 1.2);
    this._canvas.height = Math.max(40, Math.round((highest(ys) - y0 + tall) * scale));
    const context = this._canvas.getContext("2d");
    context.clearRect(0, 0, SIDE, this._canvas.height);
    this._cells = tiles.map((tile) => ({
      n: tile.n, tile, x: (tile.x_px - x0) * scale, y: (tile.y_px - y0) * scale,
      wide: wide * scale, tall: tall * scale,
    }));
    for (const cell of this._cells) {
      const light = (cell.tile.z_um - low) / Math.max(high - low, 1e-9);
      const gap = Math.min(1, cell.wide / 8);
      context.fillStyle = sequential(light);
      context.fillRect(cell.x, cell.y, cell.wide - gap, cell.tall - gap);
      if (cell.wide > 8) mark(context, cell.x + cell.wide / 2, cell.y + cell.tall / 2, cell.tile, light);
    }
    const said = `${low.toFixed(1)} µm to ${high.toFixed(1)} µm`;
    this._canvas.setAttribute("aria-label", `Focus height of ${tiles.length} tiles, ${said}`);
    this._words.textContent = `dark ${low.toFixed(1)} µm, light ${high.toFixed(1)} µm · dot: looked for · cross: not found · turned as the map is`;
  }
}

function mark(context, x, y, tile, light) {
  if (tile.source === "surface" || tile.source === "fixed") return;
  context.strokeStyle = context.fillStyle = light > 0.5 ? "#000" : "#fff";
  context.beginPath();
  if (tile.focus === "ok") {
    context.arc(x, y, 3, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.moveTo(x - 4, y - 4); context.lineTo(x + 4, y + 4);
  context.moveTo(x + 4, y - 4); context.lineTo(x - 4, y + 4);
  context.stroke();
}

const lowest = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const highest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

/** Return the distance of neighbours: the median of the gaps that are no mere jitter. */
function spacing(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const span = sorted[sorted.length - 1] - sorted[0];
  const gaps = [];
  for (let n = 1; n < sorted.length; n += 1) {
    const gap = sorted[n] - sorted[n - 1];
    if (gap > span / 200 && gap > 1) gaps.push(gap);
  }
  if (!gaps.length) return null;
  const largest = highest(gaps);
  const real = gaps.filter((gap) => gap > largest / 3).sort((a, b) => a - b);
  return real[Math.floor(real.length / 2)];
}
