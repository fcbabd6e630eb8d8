// The instrument by hand: opened for this page, looked through, moved, focused, and closed again.

import { get } from "../api.js";
import { el, part } from "../dom.js";
import { focusAid } from "./focus_aid.js";
import { Hand } from "./hand.js";
import { attempt, hear, house, may } from "../house.js";
import { jogPad } from "./jog_pad.js";
import { draw } from "../live.js";

const REST_MS = 150, HIDDEN_MS = 500;
const PASSING = [0, 422, 429]; // the connection, a lamp that there is not, too much asked: it is still open

/** Show in `place` whether the instrument may be opened, and what it shows then, until `signal`
 *  ends it: leaving closes it. */
export function byHand(place, signal) {
  let hand = null;
  const words = el("p", { class: "soft" }), why = el("p", { class: "late" });
  const objective = el("select", { "aria-label": "Objective" });
  const button = el("button", { class: "main" }, "Open the instrument");
  const closed = part("By hand", words, why, el("p", { class: "inline" }, button, objective));

  const leave = () => { hand?.close().catch(() => { /* its lease ends by itself */ }); hand = null; };
  const renew = () => {
    if (hand || !house.state) return;
    const { night, by_hand: held } = house.state;
    words.textContent = night ? `The night ${night.name} has the microscope: its newest frame is here.`
      : held ? `${held.by} has the instrument open by hand.`
        : "No night runs. Opening homes the stage, and plans wait until it is closed. The light burns "
          + "only while a frame is taken; who leaves this page closes it.";
    button.hidden = objective.hidden = !may("operate") || Boolean(night) || Boolean(held);
    place.replaceChildren(closed);
  };
  const over = (reason) => { hand = null; why.textContent = reason; renew(); };
  button.addEventListener("click", async () => {
    why.textContent = "";
    words.textContent = "Opening, and homing the stage…";
    const opened = await attempt(button, () => Hand.open(objective.value || undefined));
    if (!opened) return renew();
    hand = opened;
    if (signal.aborted) return leave();
    look(place, hand, over, () => hand === opened && !signal.aborted);
    return undefined;
  });
  get("/instrument").then(({ objectives }) => objective.replaceChildren(
    ...objectives.map((name) => el("option", { value: name }, name))), () => {});
  hear("state", renew, signal);
  signal.addEventListener("abort", leave);
  window.addEventListener("pagehide", leave, { signal });
  renew();
}

async function look(place, hand, over, goesOn) {
  const { about } = hand, lamp = lampOf(about);
  const canvas = el("canvas", { role: "img", "aria-label": "The live frame", class: "frame-image", hidden: true });
  const figures = el("figcaption", { class: "soft" }, "The first frame takes a moment.");
  const stage = el("output", { class: "where" });
  let busy = false;
  const alone = (work) => async (...given) => {
    busy = true;
    try { return await work(...given); } finally { busy = false; stage.textContent = at(hand.stage_um); }
  };
  const aid = focusAid(alone((range_um) => hand.focus(lamp.now(), range_um)));
  const close = el("button", {
    class: "stop", onclick: () => attempt(close, async () => { await hand.close(); over(""); }, "Closed, and dark"),
  }, "Close the instrument");
  place.replaceChildren(el("div", { class: "hand" },
    el("section", { class: "part" }, el("h2", {}, "Live"),
      about.simulated ? el("p", { class: "banner" }, el("strong", {}, "SIMULATED"), " instrument") : null,
      el("figure", { class: "live" }, canvas, figures), stage,
      lamp.node, el("p", {}, close)),
    el("div", {}, jogPad(about, alone(hand.jog)), aid.node)));
  while (goesOn()) {
    if (document.hidden || busy) {
      await pause(HIDDEN_MS);
      continue;
    }
    try {
      const { image, figures: told } = await hand.look(lamp.now());
      draw(canvas, image);
      aid.take(told.sharpness);
      stage.textContent = at(told.stage_um);
      figures.textContent = light(told);
      figures.classList.toggle("late", told.saturated > 0.01);
    } catch (refusal) {
      if (!goesOn()) return undefined;
      if (!PASSING.includes(refusal.status) && !busy) return over(refusal.message);
      figures.textContent = refusal.message;
      figures.classList.add("late");
    }
    await pause(figures.classList.contains("late") ? HIDDEN_MS : REST_MS);
  }
  return undefined;
}

function lampOf(about) {
  const channel = el("select", { "aria-label": "Light" },
    about.channels.map((name) => el("option", { value: name }, name)));
  const brightness = el("input", {
    type: "range", min: 0, max: 1, step: 0.01, value: 0.5, "aria-label": "Brightness",
  });
  const exposure = el("input", {
    type: "number", min: about.exposure_ms[0], max: about.exposure_ms[1], step: "any", value: 10,
    "aria-label": "Exposure, ms",
  });
  return {
    node: el("p", { class: "inline" }, channel, brightness, el("label", {}, exposure, " ms")),
    now: () => ({
      channel: channel.value, brightness: Number(brightness.value), exposure_ms: Number(exposure.value) || 10,
    }),
  };
}

const at = (um) => `x ${um[0].toFixed(1)}   y ${um[1].toFixed(1)}   z ${um[2].toFixed(2)} µm`;
const light = (told) => `Mean level ${(100 * told.level).toFixed(0)} % of full scale`
  + (told.saturated > 0 ? `, ${(100 * told.saturated).toFixed(1)} % saturated` : "");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
