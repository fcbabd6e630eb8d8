// The live map's parts: which there are, and which were drawn again since.

import { address, get, Refusal } from "../api.js";

/** A map as the service describes it, and where its parts are. */
export class MapLevels {
  constructor(run) {
    this.run = run;
    this.about = null;
    this._stamps = new Map();
  }

  /** Fetch what changed. Return "none" before there is a map, "new" for another map, else the parts
   *  [level, x, y] that were drawn again. */
  async renew() {
    const known = this.about === null ? ""
      : `?epoch=${encodeURIComponent(this.about.epoch)}&since=${this.about.stamp}`;
    let about;
    try {
      about = await get(`/runs/${this.run}/map.json${known}`);
    } catch (refusal) {
      if (refusal instanceof Refusal && refusal.status === 404) return "none";
      throw refusal;
    }
    const before = this.about;
    this.about = about;
    if (before === null || about.changed === null || before.epoch !== about.epoch
        || before.window.join() !== about.window.join()) {
      this._stamps.clear();
      return "new";
    }
    const drawn = about.changed.filter(([level, x, y, stamp]) =>
      this._stamps.get(`${level}/${x}_${y}`) !== stamp);
    for (const [level, x, y, stamp] of drawn) this._stamps.set(`${level}/${x}_${y}`, stamp);
    return drawn;
  }

  /** Return the map as the viewer takes it; its levels count from the coarsest. */
  source() {
    const { levels, tile_px, epoch, window } = this.about;
    const finest = levels.length - 1;
    const shown = `e=${encodeURIComponent(epoch)}&w=${window[0]}-${window[1]}`;
    return {
      width: levels[0][0], height: levels[0][1], tileSize: tile_px, tileOverlap: 0,
      minLevel: 0, maxLevel: finest,
      getTileUrl: (level, x, y) => {
        const part = `${finest - level}/${x}_${y}`;
        const stamp = this._stamps.get(part);
        return address(`/runs/${this.run}/map/${part}.jpg?${shown}${stamp ? `&v=${stamp}` : ""}`);
      },
    };
  }

  /** Return the stage's (x, y) in µm at a place of the mosaic, or null where it is not known. */
  toStage(x_px, y_px) {
    const m = this.about?.um_from_px;
    if (!m) return null;
    return m.map(([a, b, c]) => a * x_px + b * y_px + c);
  }

  /** Return the mosaic's (x, y) at a place of the stage, or null. */
  fromStage(x_um, y_um) {
    const m = this.about?.um_from_px;
    if (!m) return null;
    const [[a, b, tx], [c, d, ty]] = m;
    const det = a * d - b * c, x = x_um - tx, y = y_um - ty;
    return [(d * x - b * y) / det, (a * y - c * x) / det];
  }
}
