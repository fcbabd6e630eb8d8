// The page: who looks, which room, and what is in it.

import { get } from "./api.js";
import { bar } from "./bar.js";
import { el } from "./dom.js";
import { attempt, hear, house } from "./house.js";
import { instrumentRoom } from "./instrument/instrument_room.js";
import { modelsRoom } from "./models_room.js";
import { runRoom } from "./night_room.js";
import { queueRoom } from "./queue_room.js";
import { runsRoom } from "./runs_room.js";
import { signIn, signOut } from "./session.js";
import { close, listen } from "./stream.js";

const content = document.getElementById("content");
const ROOMS = [
  ["night", "Night"], ["queue", "Queue"], ["runs", "Runs"], ["instrument", "Instrument"],
  ["models", "Models"],
];
let leaving = new AbortController();
let shown = "";

async function begin() {
  try {
    house.me = await get("/me");
  } catch (refusal) {
    if (refusal.status === 401) {
      signIn(content, () => location.reload());
      return;
    }
    content.replaceChildren(el("p", { class: "late" }, `${refusal.message}. Trying again…`));
    setTimeout(begin, 4000);
    return;
  }
  rooms();
  bar(document.getElementById("bar"));
  window.addEventListener("hashchange", enter);
  hear("state", () => { if (wanted()[0] === "night" && newest() !== shown) enter(); });
  hear("signed-out", () => { close(); signIn(content, () => location.reload()); });
  listen();
  enter();
}

function rooms() {
  const nav = document.getElementById("rooms");
  const out = el("button", { class: "quiet out", onclick: () => attempt(out, signOut) }, "Sign out");
  nav.replaceChildren(...ROOMS.map(([name, words]) => el("a", { href: `#${name}` }, words)), out);
  nav.hidden = false;
}

const wanted = () => location.hash.replace(/^#/, "").split("/");
const newest = () => house.state?.night?.folder || shown;

async function enter() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [room, name] = wanted()[0] ? wanted() : ["night"];
  for (const link of document.querySelectorAll("#rooms a")) {
    const here = link.hash === `#${room === "run" ? "runs" : room}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    if (room === "queue") queueRoom(content, signal);
    else if (room === "runs") await runsRoom(content);
    else if (room === "instrument") await instrumentRoom(content, signal);
    else if (room === "models") await modelsRoom(content);
    else if (room === "run" && name) runRoom(content, name, signal);
    else await tonight(signal);
  } catch (refusal) {
    content.replaceChildren(el("p", { class: "late" }, refusal.message));
  }
}

/** Show the night in hand, or the newest run where there is none. */
async function tonight(signal) {
  let run = house.state?.night?.folder;
  if (!run) run = (await get("/runs")).runs.find((one) => !one.error)?.id;
  shown = run ?? "";
  if (signal.aborted) return;
  if (run) runRoom(content, run, signal);
  else {
    content.replaceChildren(el("section", { class: "part" }, el("h2", {}, "Good evening"),
      el("p", {}, "No night has been run yet. ", el("a", { href: "#queue" }, "Queue a plan"), ".")));
  }
}

begin();
