// All runs, the newest first.

import { get } from "./api.js";
import { el, part, table } from "./dom.js";
import { date } from "./times.js";

/** Show the runs in `place`. */
export async function runsRoom(place) {
  const { runs } = await get("/runs");
  if (!runs.length) {
    place.replaceChildren(part("Runs", el("p", { class: "soft" }, "No night has been run yet. Queue a plan.")));
    return;
  }
  place.replaceChildren(part("Runs", table("Runs, the newest first",
    ["Run", "Plan", "State", "n:Tiles", "n:Regions", "Started"],
    runs.map((run) => (run.error
      ? [run.id, "", el("span", { class: "late" }, `cannot be read: ${run.error}`), "", "", ""]
      : [el("a", { href: `#run/${run.id}` }, run.id),
        run.name + (run.simulated ? " (SIMULATED)" : ""), run.state,
        `${run.tiles} of ${run.tiles_planned}`, run.regions_found, date(run.created)])))));
}
