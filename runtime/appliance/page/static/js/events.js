// What a run logged, the newest first.

import { get } from "./api.js";
import { el } from "./dom.js";
import { clock, date } from "./times.js";

const MOST = 200;

/** The log of one run. */
export class Events {
  constructor(run) {
    this._run = run;
    this._next = 0;
    this._list = el("ol", { class: "events", reversed: true });
    this.node = el("section", { class: "part" }, el("h2", {}, "Events"), this._list);
  }

  /** Fetch what is new. */
  async renew() {
    const answer = await get(`/runs/${this._run}/events?since=${this._next}`);
    this._next = answer.next;
    for (const event of answer.events.slice(-MOST)) {
      this._list.prepend(el("li", { class: event.level },
        el("time", { title: date(event.time) }, clock(event.time)), " ",
        el("strong", {}, event.kind), ` ${event.words}`));
    }
    while (this._list.children.length > MOST) this._list.lastChild.remove();
    if (!this._list.children.length) {
      this.node.hidden = true;
      return;
    }
    this.node.hidden = false;
  }
}
