// For the technician: the instrument by hand, the newest frame of a night, and the calibrations.

import { byHand } from "./by_hand.js";
import { get } from "../api.js";
import { el, part, table } from "../dom.js";
import { house } from "../house.js";
import { LiveFrame } from "../live.js";
import { date } from "../times.js";

const LOOK_MS = 1000, NOTHING_MS = 10000;

/** Show the instrument in `place` until `signal` ends it. */
export async function instrumentRoom(place, signal) {
  const live = new LiveFrame("The newest frame"), hand = el("div");
  const newest = el("section", { class: "part" }, el("h2", {}, "Newest frame"), live.node);
  const status = el("div", {}, el("p", { class: "soft" }, "Loading…"));
  place.replaceChildren(hand, el("div", { class: "instrument" }, newest, part("Calibration", status)));
  byHand(hand, signal);
  look(live, signal);
  await standing(status);
}

/** Look again and again while the page is seen; never before the last look has come. */
async function look(live, signal) {
  while (!signal.aborted) {
    const words = house.state?.night ? "Of the night that runs" : "Of the newest run";
    const there = !document.hidden && await live.renew(words);
    const soon = there && house.state?.night;
    await new Promise((resolve) => setTimeout(resolve, soon ? LOOK_MS : NOTHING_MS));
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
