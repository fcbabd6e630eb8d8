// What all parts share: who looks, the state of the night, and messages between them.

const bus = new EventTarget();

/** Who looks, and the service's newest state. */
export const house = { me: null, state: null };

const ROLES = ["look", "operate", "administer"];

/** Return whether who looks may do what needs a role. */
export const may = (role) => ROLES.indexOf(house.me?.role) >= ROLES.indexOf(role);

/** Tell whoever listens. */
export const tell = (kind, detail) => bus.dispatchEvent(new CustomEvent(kind, { detail }));

/** Listen until `signal` ends it. */
export function hear(kind, heard, signal) {
  bus.addEventListener(kind, (event) => heard(event.detail), { signal });
}

/** Say something for a while, in words that a screen reader speaks. */
let unsay = 0;
export function say(words, trouble = false) {
  const place = document.getElementById("told");
  place.textContent = words;
  place.classList.toggle("trouble", trouble);
  clearTimeout(unsay);
  unsay = setTimeout(() => { place.textContent = ""; }, trouble ? 12000 : 5000);
}

/** Do what a button is for: once at a time, and say what came of it. */
export async function attempt(button, work, done = "") {
  button.disabled = true;
  try {
    const answer = await work();
    if (done) say(done);
    return answer;
  } catch (refusal) {
    say(refusal.message, true);
    return undefined;
  } finally {
    button.disabled = false;
  }
}
