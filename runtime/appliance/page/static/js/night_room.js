// One run: its map, its tiles, what is known of it; of the night that runs, as it grows.

import { get } from "./api.js";
import { el, show } from "./dom.js";
import { Events } from "./events.js";
import { FocusMap } from "./map/focus_map.js";
import { hear, house } from "./house.js";
import { LiveFrame } from "./live.js";
import { MapView } from "./map/map_view.js";
import { paced } from "./pace.js";
import { attention, budgets, calibration, files, heading, regions } from "./run_words.js";
import { TilePanel } from "./tile_panel.js";
import { Tiles } from "./tiles.js";
import { setZone } from "./times.js";

const TILES_MS = 1000, MAP_MS = 2500, RUN_MS = 5000, LIVE_MS = 1500, AGAIN_MS = 3000;

/** Show a run in `place` until `signal` ends it. */
export function runRoom(place, run, signal) {
  const tiles = new Tiles(run);
  const view = new MapView(tiles, (tile) => panel.show(tile.n));
  const panel = new TilePanel(tiles, (n) => {
    if (view._overlay) view._overlay.chosen = n;
    view.draw();
  });
  const focusMap = new FocusMap(tiles, (n) => panel.show(n));
  const events = new Events(run);
  const live = new LiveFrame("The newest frame");
  const head = el("div"), needs = el("div"), found = el("div"), times = el("div");
  const used = el("div"), kept = el("div");
  let about = null;

  place.replaceChildren(el("div", { class: "night" },
    el("div", { class: "wide" }, head, view.node),
    el("aside", {}, el("section", { class: "part" }, el("h2", {}, "Live"), live.node), needs),
    panel.node,
    el("div", { class: "pair" }, found, focusMap.node),
    times, used, el("div", { class: "pair" }, events.node, kept)));

  const visit = (n) => { panel.show(n); panel.node.scrollIntoView({ behavior: "smooth" }); };
  const centre = (region) => {
    view.show((region.box_px[0] + region.box_px[2]) / 2, (region.box_px[1] + region.box_px[3]) / 2);
    view.node.scrollIntoView({ behavior: "smooth", block: "center" });
  };

  function legend() {
    if (!view._overlay) return;
    show(view.legend, view._overlay.legend(about?.class_counts).map(([colour, words]) => {
      const dot = el("canvas", { width: 12, height: 12, class: "dot", "aria-hidden": "true" });
      const context = dot.getContext("2d");
      context.fillStyle = colour;
      context.fillRect(0, 0, 12, 12);
      return el("span", {}, dot, ` ${words}`);
    }));
  }

  const renewTiles = paced(async () => {
    const { changed, fresh } = await tiles.renew();
    if (changed) {
      view.draw();
      legend();
      focusMap.draw(about?.focus_words);
      renewMap();
      renewLive();
    }
    if (!fresh) setTimeout(renewTiles, AGAIN_MS);
  }, TILES_MS, signal);
  // Before the first tile there is neither a map nor a frame, and to ask would be an error.
  const renewMap = paced(async () => {
    if (tiles.all.size === 0) return;
    await view.renew();
    legend();
  }, MAP_MS, signal);
  const renewEvents = paced(() => events.renew(), TILES_MS, signal);
  const renewLive = paced(async () => {
    const night = house.state?.night;
    if (tiles.all.size > 0 && (night?.folder === run || !night)) await live.renew(caption(night, run));
  }, LIVE_MS, signal);
  const renewRun = paced(async () => {
    about = await get(`/runs/${run}`);
    setZone(about.utc_offset_s);
    tiles.size_px = about.tile_px;
    view.classes = about.classes;
    if (view._overlay) view._overlay.regions = about.regions;
    show(head, heading(about));
    show(needs, attention(about));
    show(found, regions(about, centre, visit));
    show(times, budgets(about));
    show(used, el("section", { class: "part" }, el("h2", {}, "Calibration used"), calibration(about.calibration)));
    show(kept, files(about) ?? "");
    focusMap.draw(about.focus_words);
    view.draw();
    legend();
    if (!about.fresh) setTimeout(renewRun, AGAIN_MS);
  }, RUN_MS, signal);
  const everything = () => { renewRun(); renewTiles(); renewMap(); renewEvents(); renewLive(); };

  view.classes = [];
  view._modes.addEventListener("change", legend);
  let before = "";
  hear("tile", (news) => {
    if (news.run !== run) return;
    renewTiles(); renewRun();
  }, signal);
  hear("event", (news) => { if (news.run === run) { renewEvents(); renewRun(); } }, signal);
  hear("state", (state) => {
    const now = `${state.night?.folder} ${state.night?.state}`;
    if (now !== before) everything();
    else view.draw();
    before = now;
  }, signal);
  hear("back", everything, signal);
  everything();
}

function caption(night, run) {
  return night?.folder === run && night.tile !== null ? `Tile ${night.tile}` : "The newest frame";
}
