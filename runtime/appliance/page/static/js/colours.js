// Colours that readers with any colour vision can tell apart: those of the report.

const CLASSES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442"];
// Ten steps of cividis (Nuñez, Anderton & Renslow 2018, doi:10.1371/journal.pone.0199239).
const SEQUENTIAL = [
  [0, 32, 77], [0, 51, 111], [57, 72, 107], [87, 92, 109], [112, 113, 115],
  [138, 135, 121], [166, 157, 117], [196, 181, 108], [228, 207, 91], [255, 234, 70],
];

/** Return the colour of the n-th class; they repeat after seven. */
export const classColour = (n) => CLASSES[n % CLASSES.length];

/** Return the colour at a fraction from 0 (dark) to 1 (light). */
export function sequential(fraction) {
  const at = Math.min(Math.max(fraction, 0), 1) * (SEQUENTIAL.length - 1);
  const low = Math.min(Math.floor(at), SEQUENTIAL.length - 2);
  const mixed = SEQUENTIAL[low].map((value, n) =>
    Math.round(value + (SEQUENTIAL[low + 1][n] - value) * (at - low)));
  return `rgb(${mixed.join(",")})`;
}

/** What a tile is looked at for, gravest first, in words. */
export const KINDS = {
  retake: "to be taken again", doubtful: "cannot be vouched for", focus: "focus doubtful",
  doubt: "label not to be trusted", suspect: "matches disagree",
  "stage-only": "matched by no neighbour", blank: "nothing in it",
};

/** Return whether a kind needs a person; a blank field is an answer. */
export const serious = (kind) => kind !== "" && kind !== "blank";
