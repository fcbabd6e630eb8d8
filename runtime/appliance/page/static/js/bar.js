// The first thing on the page: what the night does, and the button that stops it.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { attempt, hear, house, may } from "./house.js";
import { clock, date, duration, now_s } from "./times.js";

const WORDS = {
  starting: "Starting", scanning: "Scanning", paused: "Paused", stopping: "Stopping",
  stalled: "Stalled",
};

/** Build the bar; it keeps its nodes, so that a button that is looked for does not move away. */
export function bar(place) {
  const state = el("span", { class: "pill" });
  const name = el("strong", { class: "name" });
  const done = el("progress", { max: 1, value: 0, "aria-label": "Tiles taken" });
  const words = el("span", { class: "words" });
  const reason = el("p", { class: "reason", hidden: true });
  const stop = command("Stop", "stop", "pause",
    "Stops after the tile in hand; nothing is lost and it can be resumed.", "Stopping");
  const resume = command("Resume", "go", "resume", "Goes on where it stopped.", "Going on");
  const abort = el("button", { class: "quiet", onclick: () => giveUp(abort) }, "Give up…");
  place.replaceChildren(el("div", { class: "line" }, state, stop, resume, abort, name, done,
    words), reason);
  place.hidden = false;

  function renew() {
    const night = house.state?.night ?? null;
    const kind = night?.state ?? "idle";
    state.textContent = night === null ? idle() : WORDS[kind] ?? kind;
    state.className = `pill ${kind}`;
    name.textContent = night?.name ?? "";
    done.hidden = night === null;
    if (night !== null) {
      const all = night.tiles + night.visits;
      const have = night.done + night.visits_done;
      if (all > 0) { done.max = all; done.value = Math.min(have, all); }
      else done.removeAttribute("value");
      words.textContent = progressed(night);
    } else {
      words.textContent = "";
    }
    reason.textContent = night?.reason ?? "";
    reason.hidden = !night?.reason;
    const running = ["starting", "scanning", "stalled"].includes(kind);
    stop.hidden = !(may("operate") && running);
    resume.hidden = !(may("operate") && kind === "paused");
    abort.hidden = !(may("operate") && night !== null);
    document.title = night === null ? "Nightscope" : `${state.textContent}: ${night.name}`;
  }
  hear("state", renew);
  setInterval(() => { if (!document.hidden) renew(); }, 30000);
  renew();
}

function idle() {
  const next = house.state?.queue.filter((item) => item.state === "waiting")[0];
  if (!next) return "Idle";
  return next.start_at ? `Idle until ${date(next.start_at)}` : "Idle";
}

function progressed(night) {
  const parts = [`${night.done} of ${night.tiles || "?"} tiles`];
  if (night.visits) parts.push(`${night.visits_done} of ${night.visits} visits`);
  if (night.eta_s !== null && night.state === "scanning") {
    parts.push(`about ${duration(night.eta_s)} left, until ${clock(now_s() + night.eta_s).slice(0, 5)}`);
  }
  if (night.started) parts.push(`for ${duration(now_s() - night.started)}`);
  return parts.join(" · ");
}

function command(words, kind, verb, hint, said) {
  const button = el("button", {
    class: kind, title: hint, hidden: true,
    onclick: () => attempt(button, () =>
      ask("POST", `/night/${verb}`, { night: house.state.night.id }), said),
  }, words);
  return button;
}

function giveUp(button) {
  const night = house.state.night;
  const close = () => { dialog.close(); dialog.remove(); };
  const sure = el("button", {
    class: "stop",
    onclick: async () => {
      await attempt(sure, () => ask("POST", "/night/abort", { night: night.id }), "Giving up");
      close();
    },
  }, "Give this night up");
  const dialog = el("dialog", { "aria-labelledby": "sure" },
    el("h2", { id: "sure" }, `Give up “${night.name}”?`),
    el("p", {}, "What was taken stays, and the next plan of the queue begins. To go on with this "
      + "night later, stop it instead."),
    el("p", { class: "buttons" }, sure, el("button", { onclick: close }, "Keep it")));
  dialog.addEventListener("close", () => button.focus());
  document.body.append(dialog);
  dialog.showModal();
}
