// Plans that wait, the one in hand, and those that are over; adding, ordering, holding, scheduling.

import { ask } from "./api.js";
import { el, part, show, table } from "./dom.js";
import { attempt, hear, house, may } from "./house.js";
import { clock, date, fromField, now_s, skew_s } from "./times.js";

const ODD_S = 90;

/** Show the queue in `place` until `signal` ends it. */
export function queueRoom(place, signal) {
  const list = el("div"), words = el("p", { class: "soft" });
  place.replaceChildren(el("div", {}, part("Queue", words, list), may("operate") ? adding() : null));
  const renew = () => {
    if (house.state === null) return;
    const free_gb = house.state.disk_free_bytes / 1e9;
    const skew = Math.abs(skew_s()) > ODD_S
      ? " This device's clock differs; all times here are the controller's." : "";
    words.textContent = `${house.state.waits_for ? `${house.state.waits_for}. ` : ""}`
      + `${free_gb.toFixed(free_gb < 10 ? 1 : 0)} GB free. The controller's clock says `
      + `${clock(now_s()).slice(0, 5)}.${skew}`;
    show(list, queue(house.state.queue));
  };
  hear("state", renew, signal);
  renew();
}

function queue(items) {
  if (!items.length) return el("p", { class: "soft" }, "The queue is empty.");
  const coming = items.filter((item) => item.position !== null);
  const rows = items.map((item) => [
    item.run ? el("a", { href: `#run/${item.run}` }, item.name) : item.name,
    item.state + (item.reason ? `: ${item.reason}` : ""),
    item.start_at ? `not before ${date(item.start_at)}` : "",
    may("operate") && item.position !== null ? commands(item, coming.length) : "",
  ]);
  return table("Plans in the queue", ["Plan", "State", "Starts", "Change"], rows);
}

function commands(item, count) {
  const change = (words, label, body, off) => {
    const button = el("button", {
      class: "tool", "aria-label": `${label}: ${item.name}`, title: label, disabled: off,
      "data-id": item.id, onclick: () => attempt(button, () => ask("PATCH", `/queue/${item.id}`, body)),
    }, words);
    return button;
  };
  const remove = el("button", {
    class: "tool", "aria-label": `Take out: ${item.name}`, title: "Take out", "data-id": item.id,
    onclick: () => attempt(remove, () => ask("DELETE", `/queue/${item.id}`), "Taken out"),
  }, "✕");
  return el("span", { class: "tools" },
    change("↑", "Earlier", { position: item.position - 1 }, item.position === 0),
    change("↓", "Later", { position: item.position + 1 }, item.position === count - 1),
    item.state === "held" ? change("Release", "Release", { held: false })
      : change("Hold", "Hold", { held: true }), remove);
}

function adding() {
  const plan = el("textarea", {
    id: "plan", rows: 14, spellcheck: "false", required: true,
    placeholder: "The plan in YAML, or the name of one that lies on the controller",
  });
  const file = el("input", {
    id: "plan-file", type: "file", accept: ".yaml,.yml,.json",
    onchange: async () => { if (file.files[0]) plan.value = await file.files[0].text(); },
  });
  const settings = el("input", { id: "plan-settings", placeholder: "those of the service" });
  const start = el("input", { id: "plan-start", type: "datetime-local" });
  const button = el("button", { class: "main" }, "Queue it");
  return el("section", { class: "part" }, el("h2", {}, "Add a plan"), el("form", {
    class: "form",
    onsubmit: async (event) => {
      event.preventDefault();
      const body = { plan: plan.value };
      if (settings.value.trim()) body.settings = settings.value.trim();
      if (start.value) body.start_at = fromField(start.value);
      const item = await attempt(button, () => ask("POST", "/queue", body), "Queued");
      if (item !== undefined) event.target.reset();
    },
  },
  el("label", { for: "plan-file" }, "From a file"), file, el("label", { for: "plan" }, "Plan"), plan,
  el("label", { for: "plan-settings" }, "Settings (name)"), settings,
  el("label", { for: "plan-start" }, "Start not before (the controller's time)"), start, button));
}
