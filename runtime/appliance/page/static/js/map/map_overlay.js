// What lies over the map: tiles, regions, the stage, a scale bar. One canvas, drawn when it moved.

import { classColour, KINDS, sequential, serious } from "../colours.js";
import { el } from "../dom.js";
import { house } from "../house.js";

/** Draws over a viewer's map what a `MapView` knows of it. */
export class Overlay {
  constructor(viewer, view) {
    this._viewer = viewer;
    this._view = view;
    this._canvas = el("canvas", { class: "overlay", "aria-hidden": "true" });
    viewer.canvas.append(this._canvas);
    this.chosen = null;
    this.regions = [];
    viewer.addHandler("update-viewport", () => this.draw());
    viewer.addHandler("resize", () => this.draw());
  }

  /** Draw everything again. */
  draw() {
    const image = this._viewer.world.getItemAt(0);
    const context = this._cleared();
    if (!image || !this._view._shown) return;
    const at = (x, y) => this._viewer.viewport.pixelFromPoint(
      image.imageToViewportCoordinates(x, y), true);
    const [x0, y0] = this._view._shown.origin_px;
    const corner = at(0, 0), scale = (at(1000, 0).x - corner.x) / 1000;
    const to = (x, y) => [corner.x + (x - x0) * scale, corner.y + (y - y0) * scale];
    this._tiles(context, to, scale);
    this._regions(context, to);
    this._stage(context, to);
    this._bar(context, scale);
  }

  _cleared() {
    const { clientWidth: width, clientHeight: height } = this._viewer.canvas;
    const ratio = window.devicePixelRatio || 1;
    if (this._canvas.width !== Math.round(width * ratio)
        || this._canvas.height !== Math.round(height * ratio)) {
      this._canvas.width = Math.round(width * ratio);
      this._canvas.height = Math.round(height * ratio);
    }
    const context = this._canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  _tiles(context, to, scale) {
    const { tiles } = this._view;
    if (tiles.size_px === null) return;
    const [height, width] = tiles.size_px.map((side) => side * scale);
    const colour = this._colours();
    context.lineWidth = 1.5;
    for (const tile of tiles.all.values()) {
      if (tile.x_px === null || tile.phase !== "overview") continue;
      const [x, y] = to(tile.x_px, tile.y_px);
      if (x > this._canvas.width || y > this._canvas.height || x + width < 0 || y + height < 0) {
        continue;
      }
      const { fill, stroke } = colour(tile);
      const inset = 0.06 * width;
      if (fill) {
        context.fillStyle = fill;
        context.fillRect(x + inset, y + inset, width - 2 * inset, height - 2 * inset);
      }
      if (stroke) {
        context.strokeStyle = stroke;
        context.strokeRect(x + inset, y + inset, width - 2 * inset, height - 2 * inset);
      }
      if (tile.n === this.chosen) this._choose(context, x, y, width, height);
    }
  }

  _choose(context, x, y, width, height) {
    context.save();
    context.lineWidth = 5;
    context.strokeStyle = "#000";
    context.strokeRect(x, y, width, height);
    context.lineWidth = 2.5;
    context.strokeStyle = "#fff";
    context.strokeRect(x, y, width, height);
    context.restore();
  }

  /** Return what gives a tile its colours, as the viewer's user wants them. */
  _colours() {
    const mode = this._view._modes.value;
    const { classes } = this._view;
    if (mode === "label") {
      return (tile) => {
        if (tile.label === null) return {};
        const colour = classColour(classes.indexOf(tile.label));
        return { fill: `${colour}40`, stroke: colour };
      };
    }
    const heights = this._view.tiles.heights();
    if (mode === "z" && heights) {
      const [low, high] = heights;
      return (tile) => (tile.z_um === null ? {}
        : { fill: sequential((tile.z_um - low) / Math.max(high - low, 1e-9)) });
    }
    if (mode === "why") return (tile) => (serious(tile.why) ? { stroke: "#ffb14e" } : {});
    return () => ({});
  }

  /** Return in pairs of colour and words what the colours mean. */
  legend(counts) {
    const mode = this._view._modes.value;
    if (mode === "label") {
      return this._view.classes.map((name, n) =>
        [classColour(n), `${name}: ${counts?.[name] ?? 0}`]);
    }
    const heights = this._view.tiles.heights();
    if (mode === "z" && heights) {
      return heights.map((z, n) => [sequential(n), `z ${z.toFixed(1)} µm`]);
    }
    if (mode !== "why") return [];
    const found = new Map();
    for (const tile of this._view.tiles.all.values()) {
      if (serious(tile.why)) found.set(tile.why, (found.get(tile.why) ?? 0) + 1);
    }
    return [...found].map(([why, count]) => ["#ffb14e", `${KINDS[why] ?? why}: ${count}`]);
  }

  _regions(context, to) {
    context.font = "600 13px system-ui, sans-serif";
    context.textBaseline = "top";
    this.regions.forEach((region, n) => {
      const [x0, y0] = to(region.box_px[0], region.box_px[1]);
      const [x1, y1] = to(region.box_px[2], region.box_px[3]);
      context.lineWidth = 4;
      context.strokeStyle = "rgba(0,0,0,.65)";
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
      context.lineWidth = 2;
      context.strokeStyle = region.visited ? "#7ee0c4" : "#fff";
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
      context.fillStyle = "#000";
      context.fillRect(x0, y0, 22, 20);
      context.fillStyle = "#fff";
      context.fillText(String(n + 1), x0 + 7, y0 + 4);
    });
  }

  /** Mark where the stage is, while a night of this run is under way. */
  _stage(context, to) {
    const night = house.state?.night;
    if (!night?.stage_um || night.folder !== this._view.tiles.run) return;
    const at = this._view.levels.fromStage(night.stage_um[0], night.stage_um[1]);
    if (!at) return;
    const [x, y] = to(...at);
    for (const [colour, width] of [["#000", 5], ["#f0e442", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.moveTo(x - 15, y); context.lineTo(x + 15, y);
      context.moveTo(x, y - 15); context.lineTo(x, y + 15);
      context.stroke();
    }
  }

  /** Draw a bar of a round length, and which way the stage's axes point. */
  _bar(context, scale) {
    const m = this._view._shown.um_from_px, size_um = this._view._shown.pixel_size_um;
    const { clientWidth: width, clientHeight: height } = this._viewer.canvas;
    if (size_um) {
      const wished_um = (width / 5 / scale) * size_um;
      const power = 10 ** Math.floor(Math.log10(wished_um));
      const long_um = [5, 2, 1].map((n) => n * power).find((um) => um <= wished_um);
      const long = (long_um / size_um) * scale;
      const words = long_um >= 1000 ? `${long_um / 1000} mm` : `${long_um} µm`;
      context.fillStyle = "rgba(0,0,0,.6)";
      context.fillRect(10, height - 40, long + 16, 32);
      context.fillStyle = "#fff";
      context.fillRect(18, height - 16, long, 3);
      context.fillText(words, 18, height - 35);
    }
    if (m) this._axes(context, m, width - 46, height - 46);
  }

  _axes(context, m, x, y) {
    const [[a, b], [c, d]] = m, det = a * d - b * c;
    const ways = { x: [d / det, -c / det], y: [-b / det, a / det] };
    context.fillStyle = "rgba(0,0,0,.6)";
    context.beginPath();
    context.arc(x, y, 38, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = context.fillStyle = "#fff";
    context.lineWidth = 1.5;
    for (const [name, [dx, dy]] of Object.entries(ways)) {
      const long = Math.hypot(dx, dy), ux = dx / long, uy = dy / long;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + 20 * ux, y + 20 * uy);
      context.stroke();
      context.fillText(name, x + 28 * ux - 4, y + 28 * uy - 7);
    }
  }
}
