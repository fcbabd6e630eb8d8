// Elements without markup in strings: whatever a run calls its tiles stays text.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Return an HTML element; `on…` attributes are listeners, null children are left out. */
export const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** Return an SVG element. */
export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Put other children into a node, but leave it alone while they say the same: focus stays. */
export function show(node, ...children) {
  const made = document.createElement("div");
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  if (node.isEqualNode && made.innerHTML === node.innerHTML) return;
  node.replaceChildren(...made.childNodes);
}

/** Return a table; headings that begin with "n:" are of numbers. */
export function table(caption, headings, rows) {
  const numeric = headings.map((heading) => heading.startsWith("n:"));
  const head = headings.map((heading, at) =>
    el("th", { scope: "col", class: numeric[at] && "number" }, heading.replace(/^n:/, "")));
  const body = rows.map((row) =>
    el("tr", {}, row.map((cell, at) => el("td", { class: numeric[at] && "number" }, cell))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

/** Return a titled part of the page. */
export const part = (title, ...children) =>
  el("section", { class: "part" }, el("h2", {}, title), ...children);

/** Return a pair of a list of facts. */
export const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
