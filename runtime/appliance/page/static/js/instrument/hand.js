// The instrument by hand: a lease of it, and the orders that only who holds it may give.

import { ask, picture } from "../api.js";

const WIDTH_PX = 800;

/** The instrument, open for this page until it is closed, or nothing was asked of it for long. */
export class Hand {
  constructor(opened) {
    this._lease = opened.lease;
    /** What the instrument has: channels, room, exposures, the longest step of z. */
    this.about = opened;
    this.stage_um = opened.stage_um;
  }

  /** Open it, with an objective; throws Refusal where a night or somebody else has it. */
  static async open(objective) {
    return new Hand(await ask("POST", "/instrument/open", { objective }));
  }

  /** Light a lamp for one frame; return it and its figures. */
  async look(lamp) {
    const query = new URLSearchParams({ lease: this._lease, width: WIDTH_PX, ...lamp });
    const { image, headers } = await picture(`/instrument/frame?${query}`);
    const figures = JSON.parse(headers.get("x-nightscope-frame"));
    this.stage_um = figures.stage_um;
    return { image, figures };
  }

  /** Move by so much, micrometres. */
  jog = async (steps) => this._moved(await ask("POST", "/instrument/jog", { lease: this._lease, ...steps }));

  /** Find focus here; return the verdict and its curve. */
  focus = async (lamp, range_um) => this._moved(
    await ask("POST", "/instrument/focus", { lease: this._lease, range_um, ...lamp }));

  /** Give it back; the answer may come when the page is gone. */
  close = () => ask("POST", "/instrument/close", { lease: this._lease }, { last: true });

  _moved(answer) {
    this.stage_um = answer.stage_um;
    return answer;
  }
}
