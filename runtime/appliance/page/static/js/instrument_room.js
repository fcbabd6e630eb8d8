// For the technician: how the calibrations stand, the newest frame, and a number for its sharpness.

import { get } from "./api.js";
import { el, part, table } from "./dom.js";
import { house } from "./house.js";
import { LiveFrame } from "./live.js";
import { date } from "./times.js";

const LOOK_MS = 1000, NOTHING_MS = 10000;

/** Show the instrument in `place` until `signal` ends it. */
export async function instrumentRoom(place, signal) {
  const live = new LiveFrame("The newest frame"), aid = focusAid();
  const status = el("div", {}, el("p", { class: "soft" }, "Loading…"));
  place.replaceChildren(el("div", { class: "instrument" },
    el("section", { class: "part" }, el("h2", {}, "Newest frame"), live.node, aid.node),
    part("Calibration", status)));
  look(live, aid, signal);
  await standing(status);
}

/** Look again and again while the page is seen; never before the last look has come. */
async function look(live, aid, signal) {
  while (!signal.aborted) {
    const words = house.state?.night ? "Of the night that runs" : "Of the newest run";
    const there = !document.hidden && await live.renew(words);
    if (there) aid.take(live.sharpness);
    await new Promise((resolve) => setTimeout(resolve, there ? LOOK_MS : NOTHING_MS));
  }
}

async function standing(place) {
  try {
    const { records, automatic, max_age_days } = await get("/calibration");
    const lead = automatic ? "Nights measure what is missing by themselves. " : "";
    place.replaceChildren(el("p", { class: "soft" }, `${lead}A record holds for ${max_age_days} days.`),
      standings(records));
  } catch (refusal) {
    place.replaceChildren(el("p", { class: "late" }, refusal.message));
  }
}

function standings(records) {
  if (!records.length) {
    return el("p", { class: "soft" }, "This instrument has no calibration of its own yet; what a "
      + "night measured for itself stands with its run.");
  }
  return table("Calibrations", ["Routine", "Made", "State", "Values", "What to do"], records.map((one) => [
    `${one.kind} ${one.objective ?? ""}`.trim(),
    one.made ? `${date(one.made)}, ${one.age_days.toFixed(1)} days ago` : "",
    el("span", { class: one.state === "good" ? "" : "late" }, one.state),
    el("span", { class: "values" }, (one.values ?? []).map((value) => el("span", {}, value))),
    one.error ?? one.advice ?? "",
  ]));
}

function focusAid() {
  const now = el("meter", { min: 0, max: 1, value: 0, "aria-label": "Sharpness, of the best so far" });
  const words = el("output", { class: "soft" }, "");
  let best = 0;
  const node = el("div", { class: "aid" }, el("h3", {}, "Focus aid"), now, words,
    el("button", { class: "quiet", onclick: () => { best = 0; } }, "Begin anew"));
  return {
    node,
    take(value) {
      best = Math.max(best, value);
      now.value = best > 0 ? value / best : 0;
      words.textContent = ` ${(100 * now.value).toFixed(0)} % of the sharpest since you began`;
    },
  };
}
