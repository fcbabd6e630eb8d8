// The newest frame that a night took.

import { address } from "./api.js";
import { el } from "./dom.js";

/** A picture that is fetched anew when asked, and drawn only when it is another. */
export class LiveFrame {
  constructor(words) {
    this._canvas = el("canvas", {
      role: "img", "aria-label": words, class: "frame-image", hidden: true,
    });
    this._caption = el("figcaption", { class: "soft" }, "No frame yet.");
    this._tag = "";
    this.node = el("figure", { class: "live" }, this._canvas, this._caption);
  }

  /** Fetch the newest frame; return whether there is one. The browser asks for it by its tag, so
   *  one that is the same is not sent again. */
  async renew(caption = "") {
    let answer;
    try {
      answer = await fetch(address("/live.jpg?width=800"), { cache: "no-cache" });
    } catch {
      return false; // the stream tells that the connection is lost
    }
    if (!answer.ok) return false;
    this._caption.textContent = caption;
    const tag = answer.headers.get("etag");
    if (tag && tag === this._tag) return true;
    const picture = await createImageBitmap(await answer.blob());
    this._tag = tag;
    draw(this._canvas, picture);
    return true;
  }
}

/** Draw a picture on a canvas of its size, and let it go. */
export function draw(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  canvas.hidden = false;
  picture.close();
}
