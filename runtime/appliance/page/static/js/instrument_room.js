// For the technician: calibration, the live image, jogging, and a number for sharpness.

import { ask, get } from "./api.js";
import { el, part } from "./dom.js";
import { attempt, hear, house, may, offers } from "./house.js";
import { LiveFrame } from "./live.js";
import { calibration } from "./run_words.js";

const LOOK_MS = 1000;
const NEWEST = 3; // runs that are asked: one that calibrates has no record yet
const JOG = "/api/v1/instrument/jog";

/** Show the instrument in `place` until `signal` ends it. */
export async function instrumentRoom(place, signal) {
  const live = new LiveFrame("The live image"), aid = focusAid();
  const status = el("div", {}, el("p", { class: "soft" }, "Loading…"));
  const jogging = may("operate") && offers("POST", JOG) ? jog() : null;
  place.replaceChildren(el("div", { class: "pair" },
    el("section", { class: "part" }, el("h2", {}, "Live image"), live.node, aid.node),
    el("section", { class: "part" }, el("h2", {}, "Move"), jogging
      ?? el("p", { class: "soft" }, may("operate")
        ? "This service does not move the stage by hand." : "Moving the stage needs the role “operate”."))),
  part("Calibration", status));
  const renew = () => jogging?.classList.toggle("off", house.state?.night !== null);
  hear("state", renew, signal);
  renew();
  look(live, aid, signal);
  await status_of(status);
}

/** Look again and again while the page is seen; never before the last look has come. */
async function look(live, aid, signal) {
  while (!signal.aborted) {
    if (!document.hidden && await live.renew(house.state?.night ? "Of the night that runs" : "")) {
      aid.take(live.sharpness);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function status_of(place) {
  try {
    if (offers("GET", "/api/v1/calibration")) {
      const answer = await get("/calibration");
      place.replaceChildren(known(answer));
      return;
    }
    const { runs } = await get("/runs");
    for (const { id } of runs.filter((run) => !run.error).slice(0, NEWEST)) {
      const run = await get(`/runs/${id}`);
      if (!run.calibration.length) continue;
      place.replaceChildren(el("p", { class: "soft" }, `As the run ${id} had it.`),
        calibration(run.calibration));
      return;
    }
    place.replaceChildren(el("p", { class: "soft" }, "No night with a calibration has been run yet."));
  } catch (refusal) {
    place.replaceChildren(el("p", { class: "late" }, refusal.message));
  }
}

function known(answer) {
  const records = answer.records ?? answer.calibration ?? [];
  return el("div", {}, (answer.advice ?? []).map((words) => el("p", { class: "late" }, words)),
    calibration(records));
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

function jog() {
  const step = el("select", { id: "step" }, [1, 5, 20, 100, 500].map((um) =>
    el("option", { value: um, selected: um === 20 }, `${um} µm`)));
  const by = (words, label, x, y, z) => {
    const button = el("button", {
      "aria-label": label, title: label,
      onclick: () => attempt(button, () => {
        const um = Number(step.value);
        return ask("POST", "/instrument/jog", { dx_um: x * um, dy_um: y * um, dz_um: z * um });
      }),
    }, words);
    return button;
  };
  return el("fieldset", { class: "jog" }, el("legend", {}, "Jog"),
    el("p", { class: "only-off soft" }, "A night has the microscope."),
    el("label", { for: "step" }, "Step"), step,
    el("div", { class: "pad" }, by("↑", "Y up", 0, -1, 0), by("←", "X left", -1, 0, 0),
      by("→", "X right", 1, 0, 0), by("↓", "Y down", 0, 1, 0)),
    el("div", { class: "pad z" }, by("Z +", "Z up", 0, 0, 1), by("Z −", "Z down", 0, 0, -1)));
}
