// The map: it grows while one looks, zooms, and says where the stage is.

import { el } from "../dom.js";
import { Overlay } from "./map_overlay.js";
import { MapLevels } from "./map_levels.js";

const MOMENT_MS = 1500;
const OPTIONS = {
  drawer: "canvas", showNavigationControl: false, crossOriginPolicy: false,
  maxZoomPixelRatio: 8, minZoomImageRatio: 0.6, visibilityRatio: 0.4, animationTime: 0.4,
  imageLoaderLimit: 4, maxImageCacheCount: 240, placeholderFillStyle: "#000",
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
};

/** The viewer would add a style of its own (no outline around the map on a phone), which the page's
 *  policy refuses, with an error in the console. It adds none where it finds one: an element of that
 *  name which, in no namespace, is no style. */
function styleNothing() {
  const stand = document.createElementNS(null, "style");
  stand.setAttribute("data-openseadragon-mobile-css", "true");
  document.head.append(stand);
}

function fetched(address) {
  const image = new Image();
  image.src = address;
  return image.decode();
}

/** Wait until an image has all that is on show, or a moment at most: what is out of sight waits. */
function whole(image) {
  return new Promise((resolve) => {
    setTimeout(resolve, MOMENT_MS);
    requestAnimationFrame(() => image.whenFullyLoaded(resolve));
  });
}

/** The map of one run. `picked` is called with a tile that was clicked. */
export class MapView {
  constructor(tiles, picked) {
    this.tiles = tiles;
    this.levels = new MapLevels(tiles.run);
    this._picked = picked;
    this._stage = el("div", { class: "canvas" });
    this._where = el("output", { class: "where" }, "");
    this._empty = el("p", { class: "empty" }, "The map appears with the first tile.");
    this._modes = el("select", { id: "colour", onchange: () => this._overlay?.draw() },
      [["why", "what needs a look"], ["label", "classes"], ["z", "focus height"], ["", "nothing"]]
        .map(([value, words]) => el("option", { value }, words)));
    this.legend = el("p", { class: "legend" });
    this.node = el("figure", { class: "map" },
      el("div", { class: "tools" },
        this._tool("+", "Zoom in", () => this._viewer?.viewport.zoomBy(1.6)),
        this._tool("−", "Zoom out", () => this._viewer?.viewport.zoomBy(1 / 1.6)),
        this._tool("⤢", "Whole map", () => this._viewer?.viewport.goHome()),
        el("label", { for: "colour" }, "Show"), this._modes, this._goTo()),
      el("div", { class: "frame" }, this._stage, this._empty), this._where, this.legend);
    this._viewer = null;
    this._overlay = null;
  }

  _tool(sign, words, work) {
    return el("button", { class: "tool", "aria-label": words, title: words, onclick: work }, sign);
  }

  _goTo() {
    const place = el("input", {
      id: "go", size: 12, inputmode: "text", placeholder: "x, y µm", "aria-label": "Go to x, y in µm",
    });
    return el("form", {
      class: "inline",
      onsubmit: (event) => {
        event.preventDefault();
        const [x, y] = place.value.split(/[,;\s]+/).map(Number);
        const at = this.levels.fromStage(x, y);
        if (at && at.every(Number.isFinite)) this.show(...at);
      },
    }, place, el("button", {}, "Go"));
  }

  /** Fetch what changed of the map, and draw it. */
  async renew() {
    const changed = await this.levels.renew();
    if (changed === "none") return;
    if (changed === "new") this._open();
    else if (changed.length > 0) await this._refresh(changed);
    this.draw();
  }

  /** Draw what lies over the map again. */
  draw() {
    this._overlay?.draw();
  }

  /** Bring a place of the mosaic to the middle, near enough to see it. */
  show(x_px, y_px) {
    const image = this._image();
    if (!image) return;
    const [x0, y0] = this.levels.about.origin_px;
    const at = image.imageToViewportCoordinates(x_px - x0, y_px - y0);
    const viewport = this._viewer.viewport;
    const near = viewport.imageToViewportZoom(0.5);
    viewport.panTo(at);
    if (viewport.getZoom() < near) viewport.zoomTo(near, at);
  }

  _image() {
    return this._viewer?.world.getItemAt(0) ?? null;
  }

  /** Open another map; what was in the middle stays there. */
  _open() {
    this._empty.hidden = true;
    const source = this.levels.source();
    if (this._viewer === null) {
      styleNothing();
      this._viewer = OpenSeadragon({ ...OPTIONS, element: this._stage, tileSources: source });
      this._overlay = new Overlay(this._viewer, this);
      this._viewer.addHandler("canvas-click", (event) => this._click(event));
      new OpenSeadragon.MouseTracker({
        element: this._stage, moveHandler: (event) => this._point(event.position),
      });
      this._viewer.addHandler("open", () => this._opened());
      return;
    }
    this._kept ??= this._middle();
    this._viewer.open(source);
  }

  _middle() {
    const image = this._image();
    if (!image || !this._shown) return null;
    const viewport = this._viewer.viewport;
    const at = image.viewportToImageCoordinates(viewport.getCenter());
    const [x0, y0] = this._shown.origin_px;
    return { x: at.x + x0, y: at.y + y0, zoom: viewport.viewportToImageZoom(viewport.getZoom()) };
  }

  _opened() {
    this._shown = this.levels.about;
    const kept = this._kept;
    this._kept = null;
    if (kept && this._image()) {
      const [x0, y0] = this._shown.origin_px;
      const viewport = this._viewer.viewport;
      viewport.zoomTo(viewport.imageToViewportZoom(kept.zoom), null, true);
      viewport.panTo(this._image().imageToViewportCoordinates(kept.x - x0, kept.y - y0), true);
    }
    this.draw();
  }

  /** Have parts that were drawn again fetched again; the others stay. Level by level, the coarsest
   *  first: what lacks a part shows the coarser one beneath until it has come. */
  async _refresh(changed) {
    const finest = this.levels.about.levels.length - 1;
    const parts = changed.map(([level, x, y]) => [finest - level, x, y]);
    for (const level of [...new Set(parts.map((part) => part[0]))].sort((a, b) => a - b)) {
      const image = this._image();
      const held = parts.filter((part) => part[0] === level && image?.tilesMatrix[level]?.[part[1]]?.[part[2]]);
      if (!held.length) continue;
      // At hand before its forerunner goes: its address is another, so the browser has it then.
      await Promise.allSettled(held.map((part) => fetched(image.source.getTileUrl(...part))));
      if (image !== this._image()) return; // another map was opened meanwhile
      for (const [, x, y] of held) {
        const column = image.tilesMatrix[level]?.[x];
        if (column?.[y]?.loaded) column[y].unload(true);
        if (column) delete column[y];
      }
      image.setClip(null); // changes nothing, but has the image look which parts it lacks
      await whole(image);
    }
  }

  _mosaic(position) {
    const image = this._image();
    if (!image || !this._shown) return null;
    const at = image.viewerElementToImageCoordinates(position);
    return [at.x + this._shown.origin_px[0], at.y + this._shown.origin_px[1]];
  }

  _click(event) {
    if (!event.quick) return;
    const at = this._mosaic(event.position);
    const tile = at && this.tiles.at(...at);
    if (tile) this._picked(tile);
  }

  _point(position) {
    const at = this._mosaic(position);
    if (!at) return;
    const stage = this.levels.toStage(...at);
    const tile = this.tiles.at(...at);
    const parts = stage ? [`x ${stage[0].toFixed(1)} µm, y ${stage[1].toFixed(1)} µm`] : [];
    if (tile) parts.push(`${tile.id}${tile.label ? `, ${tile.label}` : ""}`);
    this._where.textContent = parts.join(" · ");
  }
}
