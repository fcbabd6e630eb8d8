// Signing in with a token, and out.

import { ask, Refusal } from "./api.js";
import { el } from "./dom.js";
import { attempt } from "./house.js";

/** Show the form; `done` is called with who it is. */
export function signIn(place, done) {
  const token = el("input", {
    id: "token", type: "password", autocomplete: "current-password", required: true,
    spellcheck: "false", autocapitalize: "none",
  });
  // Browsers keep a token only beside a name.
  const name = el("input", {
    type: "text", autocomplete: "username", value: "nightscope", readonly: true, hidden: true,
  });
  const button = el("button", { class: "main", type: "submit" }, "Sign in");
  const form = el("form", {
    class: "sign-in",
    onsubmit: async (event) => {
      event.preventDefault();
      const me = await attempt(button, () => begin(token.value.trim()));
      if (me !== undefined) done(me);
      else token.select();
    },
  },
  el("h1", {}, "Nightscope"),
  el("p", {}, "This microscope asks for a token. Whoever set it up has one: it was shown when the "
    + "service first started, and “nightscope token new” makes another."),
  name, el("label", { for: "token" }, "Token"), token, button);
  place.replaceChildren(form);
  token.focus();
}

async function begin(token) {
  try {
    return await ask("POST", "/session", { token });
  } catch (refusal) {
    if (refusal.status !== 401) throw refusal;
    throw new Refusal(401, { what: "That token is not known here", remedy: "Copy all of it, from nightscope_ on" });
  }
}

/** End the session in this browser. */
export async function signOut() {
  await ask("DELETE", "/session");
  location.reload();
}
