// A focus curve: sharpness over height, with the height that was chosen.

import { el, svg } from "./dom.js";

const WIDTH = 320, HEIGHT = 130, EDGE = 10;

/** Return the drawing of a tile's curve, or null where no sweep was made. */
export function curve(focus) {
  if (!focus?.curve?.length) return null;
  // A search takes them in passes.
  const points = focus.curve.toSorted((one, other) => one[0] - other[0]);
  const z = points.map((point) => point[0]), s = points.map((point) => point[1]);
  const [z0, z1] = [Math.min(...z), Math.max(...z)], [s0, s1] = [Math.min(...s), Math.max(...s)];
  const x = (um) => EDGE + ((um - z0) / Math.max(z1 - z0, 1e-9)) * (WIDTH - 2 * EDGE);
  const y = (sharp) => HEIGHT - EDGE - ((sharp - s0) / Math.max(s1 - s0, 1e-9)) * (HEIGHT - 2 * EDGE);
  const path = points.map(([um, sharp], n) =>
    `${n ? "L" : "M"}${x(um).toFixed(1)} ${y(sharp).toFixed(1)}`).join("");
  const chosen = focus.z_um >= z0 && focus.z_um <= z1
    ? svg("line", { x1: x(focus.z_um), x2: x(focus.z_um), y1: 4, y2: HEIGHT - 4, class: "chosen" })
    : null;
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img",
    "aria-label": `Sharpness over z from ${z0.toFixed(1)} to ${z1.toFixed(1)} µm, `
      + `chosen ${focus.z_um.toFixed(1)} µm`,
  }, chosen, svg("path", { d: path }),
  points.map(([um, sharp]) => svg("circle", { cx: x(um), cy: y(sharp), r: 2.6 })));
  return el("figure", { class: "curve-figure" }, drawing,
    el("p", { class: "axis" }, el("span", {}, `${z0.toFixed(0)} µm`),
      el("span", {}, "sharpness over z"), el("span", {}, `${z1.toFixed(0)} µm`)));
}
