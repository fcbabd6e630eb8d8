// Moves the stage by chosen steps: buttons named for the stage's axes, and keys while they have focus.

import { el } from "../dom.js";
import { attempt } from "../house.js";

const STEPS_UM = [1, 10, 100, 1000], Z_STEPS_UM = [0.5, 1, 2, 5, 10, 20, 50, 100];
const KEYS = {
  ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", 1], ArrowDown: ["y", -1],
  PageUp: ["z", 1], PageDown: ["z", -1],
};

/** Return the pad of an opened instrument; `jog` moves it. */
export function jogPad(about, jog) {
  const step = choice("Step of x and y", STEPS_UM, 100);
  const allowed = Z_STEPS_UM.filter((um) => um <= about.jog_z_um);
  const zStep = choice("Step of z", allowed.length ? allowed : [about.jog_z_um], 5);
  const buttons = {};
  const go = (axis, sign) => attempt(buttons[axis + sign], () =>
    jog({ [`d${axis}_um`]: sign * Number((axis === "z" ? zStep : step).value) }));
  const button = (axis, sign) => {
    const name = `${sign > 0 ? "+" : "−"}${axis}`;
    buttons[axis + sign] = el("button", {
      class: `jog ${axis}${sign > 0 ? "up" : "down"}`, "aria-label": `Move ${name}`, onclick: () => go(axis, sign),
    }, name);
    return buttons[axis + sign];
  };
  const pad = el("div", {
    class: "pad", role: "group", "aria-label": "Move the stage",
    onkeydown: (event) => {
      const move = KEYS[event.key];
      if (!move) return;
      event.preventDefault();
      if (!event.repeat) go(...move);
    },
  }, ...["x", "y", "z"].flatMap((axis) => [button(axis, -1), button(axis, 1)]));
  return el("section", { class: "part" }, el("h2", {}, "Move"), pad,
    el("p", { class: "inline" }, el("label", {}, "x, y ", step), el("label", {}, "z ", zStep)),
    el("p", { class: "soft" }, `Arrow keys move x and y, Page Up and Page Down z, while a button has `
      + `the focus. z moves by ${about.jog_z_um} µm at once at the most.`));
}

const choice = (label, steps, usual) => el("select", { "aria-label": label },
  steps.map((um) => el("option", { value: um, selected: um === usual }, `${um} µm`)));
