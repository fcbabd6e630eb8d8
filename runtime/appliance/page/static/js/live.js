// The newest frame, and how sharp it is.

import { address } from "./api.js";
import { el } from "./dom.js";

const LOOKED_AT_PX = 512;

/** A picture that is fetched anew when asked, and drawn only when it is another. */
export class LiveFrame {
  constructor(words) {
    this._canvas = el("canvas", {
      role: "img", "aria-label": words, class: "frame-image", hidden: true,
    });
    this._caption = el("figcaption", { class: "soft" }, "No frame yet.");
    this._tag = "";
    this.node = el("figure", { class: "live" }, this._canvas, this._caption);
    /** Brenner's sharpness of the frame on show, or null. */
    this.sharpness = null;
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
    this._canvas.width = picture.width;
    this._canvas.height = picture.height;
    this._canvas.getContext("2d").drawImage(picture, 0, 0);
    this._canvas.hidden = false;
    this.sharpness = sharpness(picture);
    picture.close();
    return true;
  }
}

/** Return the mean squared difference two pixels apart over the squared mean, so that light does not
 *  count. */
function sharpness(picture) {
  const width = Math.min(picture.width, LOOKED_AT_PX);
  const height = Math.max(1, Math.round((picture.height * width) / picture.width));
  const canvas = el("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  let squares = 0, sum = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width - 2; x += 1) {
      const at = 4 * (y * width + x);
      squares += (data[at + 8] - data[at]) ** 2;
      sum += data[at];
    }
  }
  const count = height * (width - 2), mean = sum / count;
  return squares / count / Math.max(mean * mean, 1);
}
