// The one stream of events: opened while somebody looks, and opened again when it broke.

import { get } from "./api.js";
import { house, tell } from "./house.js";
import { clock, now_s, setClock } from "./times.js";

const FIRST_WAIT_MS = 2000, LONGEST_WAIT_MS = 30000;

let source = null, wait_ms = FIRST_WAIT_MS, timer = 0, seen_s = null;

/** Begin to listen; news is told as "state", "tile", "event", and "back" after an interruption. */
export function listen() {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("online", open);
  open();
}

/** Stop listening, as when who looks has gone. */
export function close() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

async function open() {
  close();
  if (document.hidden) return;
  try {
    take(await get("/state"), true);
  } catch (refusal) {
    if (refusal.status === 401) { tell("signed-out"); return; }
    lost();
    return;
  }
  source = new EventSource("/api/v1/events");
  source.onopen = () => { wait_ms = FIRST_WAIT_MS; found(); tell("back"); };
  source.onerror = () => lost();
  source.addEventListener("state", (event) => take(JSON.parse(event.data), false));
  for (const kind of ["tile", "event"]) {
    source.addEventListener(kind, (event) => { found(); tell(kind, JSON.parse(event.data)); });
  }
}

function take(state, fresh) {
  // A stream begins with a state that may be old; the answer to a question is of now.
  if (fresh) setClock(state.clock);
  house.state = state;
  found();
  tell("state", state);
}

function found() {
  seen_s = now_s();
  document.getElementById("lost").hidden = true;
  document.body.classList.remove("stale");
}

function lost() {
  const place = document.getElementById("lost");
  place.textContent = "Connection lost. "
    + (seen_s === null ? "" : `What you see is of ${clock(seen_s)}, by the controller's clock. `)
    + "The night goes on by itself; trying again.";
  place.hidden = false;
  document.body.classList.add("stale");
  close();
  timer = setTimeout(open, wait_ms);
  wait_ms = Math.min(wait_ms * 2, LONGEST_WAIT_MS);
}
