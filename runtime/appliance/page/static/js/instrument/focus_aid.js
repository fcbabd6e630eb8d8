// The focus aid: how sharp the frame is, as a number and a trace, beside the sharpest so far.

import { curve } from "../curve.js";
import { el, svg } from "../dom.js";
import { attempt } from "../house.js";

const REMEMBERED = 120, WIDTH = 320, HEIGHT = 64, EDGE = 4;
const RANGES_UM = [20, 60, 120, 300];

/** Return the aid; `find` has the instrument find focus within a range and returns the verdict. */
export function focusAid(find) {
  const value = el("output", { class: "sharp" }, "–");
  const words = el("span", { class: "soft" });
  const trace = svg("path", {});
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img",
    "aria-label": "Sharpness of the last frames",
  }, trace);
  let seen = [], best = 0;
  const anew = () => { seen = []; best = 0; };
  const range = el("select", { "aria-label": "How far to look" },
    RANGES_UM.map((um) => el("option", { value: um, selected: um === 60 }, `${um} µm around here`)));
  const outcome = el("div", { class: "outcome", role: "status" });
  const button = el("button", {
    class: "main",
    onclick: async () => {
      outcome.replaceChildren(el("p", { class: "soft" }, "Looking for focus…"));
      const found = await attempt(button, () => find(Number(range.value)));
      outcome.replaceChildren(...(found === undefined ? [] : verdict(found)));
      anew();
    },
  }, "Find focus");
  const node = el("section", { class: "part aid" }, el("h2", {}, "Focus aid"),
    el("p", {}, value, " ", words), drawing,
    el("p", { class: "inline" }, el("button", { class: "quiet", onclick: anew }, "Begin anew")),
    el("p", { class: "inline" }, button, range), outcome);
  return {
    node,
    take(sharpness) {
      seen = [...seen, sharpness].slice(-REMEMBERED);
      best = Math.max(best, sharpness);
      value.textContent = sharpness.toExponential(3);
      words.textContent = `Brenner; ${(100 * (best > 0 ? sharpness / best : 0)).toFixed(0)} % of the `
        + "sharpest since you began";
      trace.setAttribute("d", path(seen, best));
    },
  };
}

function path(seen, best) {
  const step = (WIDTH - 2 * EDGE) / (REMEMBERED - 1);
  return seen.map((one, n) => {
    const y = HEIGHT - EDGE - (best > 0 ? one / best : 0) * (HEIGHT - 2 * EDGE);
    return `${n ? "L" : "M"}${(EDGE + n * step).toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

function verdict(found) {
  const said = found.status === "ok"
    ? `In focus at z ${found.z_um.toFixed(2)} ± ${found.sigma_z_um.toFixed(2)} µm, by ${found.by}, `
      + `${found.exposures} exposures`
    : `${found.status}: the stage is where it was`;
  return [el("p", { class: found.status === "ok" ? "" : "late" }, said),
    found.reason ? el("p", { class: "late" }, found.reason) : "", curve(found) ?? ""];
}
