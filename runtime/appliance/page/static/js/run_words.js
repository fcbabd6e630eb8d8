// A run in figures and words: what needs a person, regions, budgets, focus, calibration, files.

import { address, ask } from "./api.js";
import { el, fact, part, table } from "./dom.js";
import { attempt, house, may } from "./house.js";
import { date, duration } from "./times.js";

const STATES = {
  created: "not started", calibrating: "calibrating", scanning: "scanning", visiting: "visiting",
  paused: "paused, resumable", finished: "finished", interrupted: "interrupted",
};

/** Return what is to be read first. */
export function attention(run) {
  return part("Needs attention", run.attention.length
    ? el("ul", { class: "reasons" }, run.attention.map((words) => el("li", {}, words)))
    : el("p", { class: "soft" }, run.verdict || "Nothing needs your attention."));
}

/** Return name, state and origin of a run. */
export function heading(run) {
  const model = run.model ? `${run.model.name ?? ""} ${run.model.version ?? ""}`.trim() : "–";
  return el("div", {}, run.simulated
    && el("p", { class: "banner" }, el("strong", {}, "SIMULATED"), ` ${run.simulated_words}`),
  el("dl", { class: "facts" },
    fact("State", STATES[run.state] ?? run.state), fact("Started", date(run.created)),
    fact("Finished", date(run.finished)), fact("Took", duration(run.wall_s)),
    fact("Tiles", `${run.tiles} of ${run.tiles_planned}`), fact("Visits", String(run.visits)),
    fact("Instrument", run.instrument ?? "–"), fact("Objective", run.objective ?? "–"),
    fact("Model", model)));
}

/** Return the regions, with their frames; `shown` is called with a region, `opened` with a tile. */
export function regions(run, shown, opened) {
  if (!run.regions.length) {
    return part("Regions", el("p", { class: "soft" }, "No region was asked for or found yet."));
  }
  const night = house.state?.night;
  const skippable = may("operate") && night?.folder === run.id;
  return part("Regions", el("ol", { class: "regions" }, run.regions.map((region) =>
    el("li", {}, el("button", { class: "link", onclick: () => shown(region) },
      `${region.label}, ${(region.score * 100).toFixed(0)} %`),
    el("span", { class: "soft" },
      ` x ${region.x_um.toFixed(0)}, y ${region.y_um.toFixed(0)} µm, `
      + `${region.visited ? "visited" : "not fully visited"} `),
    skippable && !region.visited ? skip(region, night) : null,
    el("div", { class: "thumbs" }, region.frames.map((n) =>
      el("button", { class: "thumb", onclick: () => opened(n), "aria-label": `Frame ${n}` },
        el("img", {
          src: address(`/runs/${run.id}/tiles/${n}/image.jpg?width=240`), alt: "", loading: "lazy",
        }))))))));
}

function skip(region, night) {
  const button = el("button", {
    class: "quiet",
    onclick: () => attempt(button, () =>
      ask("POST", "/night/skip", { region: region.id, night: night.id }), `${region.id} is left out`),
  }, "Leave out");
  return button;
}

/** Return every stage against its budget. */
export function budgets(run) {
  if (!run.budgets.length) return part("Budgets", el("p", { class: "soft" }, "Nothing was timed yet."));
  const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(1)} ms`);
  return part("Budgets", el("p", { class: "soft" }, run.budgets_words), table("Stages against their budgets",
    ["Stage", "n:Tiles", "n:p50", "n:p95", "n:p99", "n:Budget", "n:Missed", "p99 of budget"],
    run.budgets.map((row) => [
      row.stage, row.count, ms(row.p50_ms), ms(row.p95_ms), ms(row.p99_ms), ms(row.budget_ms),
      el("span", { class: row.late && "late" }, row.misses || "none"),
      el("meter", {
        min: 0, max: 1.25 * row.budget_ms, high: row.budget_ms, value: Math.min(row.p99_ms, 1.25 * row.budget_ms),
        "aria-label": `p99 is ${(100 * row.p99_ms / row.budget_ms).toFixed(0)} % of the budget`,
      }),
    ])));
}

/** Return the calibration records a run was taken with. */
export function calibration(records) {
  if (!records.length) return el("p", { class: "soft" }, "No calibration is known.");
  return table("Calibration", ["Routine", "Made", "Values", "Limit", "Verdict"], records.map((one) => [
    `${one.kind} ${one.objective ?? ""}`.trim(), date(one.made),
    el("span", { class: "values" }, one.values.map((value) => el("span", {}, value))),
    one.acceptance, el("span", { class: one.passed ? "" : "late" }, one.passed ? "passed" : "failed"),
  ]));
}

/** Return links to a run's files. */
export function files(run) {
  if (!run.files.length) return null;
  return part("Files", el("ul", { class: "files" }, run.files.map((name) =>
    el("li", {}, el("a", { href: address(`/runs/${run.id}/files/${name}`), target: "_blank", rel: "noopener" }, name)))));
}
