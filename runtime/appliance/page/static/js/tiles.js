// The tiles of the run on show: fetched once, then only what changed.

import { get } from "./api.js";

/** The tiles of one run by their numbers, as records of the service's columns. */
export class Tiles {
  constructor(run) {
    this.run = run;
    this.all = new Map();
    this.size_px = null; // [height, width] of the overview's frames
    this._cursor = "";
  }

  /** Fetch what changed; return whether anything did, and whether that is all by now. */
  async renew() {
    const answer = await get(`/runs/${this.run}/tiles?since=${encodeURIComponent(this._cursor)}`);
    this._cursor = answer.cursor;
    if (answer.whole) this.all.clear();
    for (const n of answer.gone) this.all.delete(n);
    for (const row of answer.tiles) {
      const tile = {};
      answer.columns.forEach((column, at) => { tile[column] = row[at]; });
      this.all.set(tile.n, tile);
    }
    const changed = answer.whole || answer.tiles.length > 0 || answer.gone.length > 0;
    return { changed, fresh: answer.fresh };
  }

  /** Return the overview's tiles. */
  overview() {
    return [...this.all.values()].filter((tile) => tile.phase === "overview");
  }

  /** Return the tile on top at a place of the mosaic, or null. */
  at(x_px, y_px) {
    if (this.size_px === null) return null;
    const [height, width] = this.size_px;
    let found = null, best = Infinity;
    for (const tile of this.all.values()) {
      if (tile.x_px === null || tile.phase !== "overview") continue;
      const x = x_px - tile.x_px, y = y_px - tile.y_px;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const off = Math.max(Math.abs(x / width - 0.5), Math.abs(y / height - 0.5));
      if (off < best) { best = off; found = tile; }
    }
    return found;
  }

  /** Return the tile of an id, or null. */
  named(id) {
    for (const tile of this.all.values()) if (tile.id === id) return tile;
    return null;
  }

  /** Return lowest and highest focus height of the overview, or null. */
  heights() {
    let low = Infinity, high = -Infinity;
    for (const tile of this.all.values()) {
      if (tile.z_um === null || tile.phase !== "overview") continue;
      low = Math.min(low, tile.z_um);
      high = Math.max(high, tile.z_um);
    }
    return low <= high ? [low, high] : null;
  }
}
