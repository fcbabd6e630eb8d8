// Installed models: on trial, confirmed, or rolled back.

import { ask, get, upload } from "./api.js";
import { el, part, table } from "./dom.js";
import { attempt, may, say } from "./house.js";

/** Show the models in `place`. */
export async function modelsRoom(place) {
  const list = el("div");
  const renew = async () => {
    const { models } = await get("/models");
    list.replaceChildren(models.length ? listed(models, renew)
      : el("p", { class: "soft" }, "No model is installed."));
  };
  place.replaceChildren(part("Models", list), may("administer") ? installing(renew) : "");
  await renew();
}

function listed(models, renew) {
  return table("Installed models", ["Model", "Task", "Version", "State", "Change"],
    models.map((model) => [model.name, model.task ?? "", model.version ?? "", state(model),
      may("administer") ? commands(model, renew) : ""]));
}

function state(model) {
  if (model.reason) return el("span", { class: "late" }, `refused: ${model.reason}`);
  const said = model.trial
    ? `on trial, ${model.trial.good} of ${model.trial.needed} good tiles` : model.state;
  return model.runs_as ? `${said}; runs as ${model.runs_as}` : said;
}

function commands(model, renew) {
  const command = (words, verb, hint, said) => {
    const button = el("button", {
      title: hint,
      onclick: async () => {
        await attempt(button, () => ask("POST", `/models/${encodeURIComponent(model.name)}/${verb}`), said);
        await renew();
      },
    }, words);
    return button;
  };
  return el("span", { class: "tools" },
    model.trial ? command("Confirm", "confirm", "Ends the trial: the model stays", "Confirmed") : null,
    model.previous ? command("Roll back", "rollback",
      `Goes back to ${model.previous}`, `Back to ${model.previous}`) : null);
}

function installing(renew) {
  const file = el("input", { id: "bundle", type: "file", accept: ".nsb", required: true });
  const gone = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sent" });
  const words = el("p", { class: "outcome", role: "status" });
  const button = el("button", { class: "main" }, "Install");
  return el("section", { class: "part" }, el("h2", {}, "Install a model"),
    el("p", { class: "soft" }, "A signed bundle (.nsb). It is verified and tested on this controller "
      + "before it takes the place of the one in use, which stays where it was if anything is wrong."),
    el("form", {
      class: "form",
      onsubmit: async (event) => {
        event.preventDefault();
        if (!file.files[0]) return;
        button.disabled = true;
        gone.hidden = false;
        words.className = "outcome";
        words.textContent = "Sending…";
        try {
          const answer = await upload("/models", file.files[0], (share) => {
            gone.value = share;
            if (share === 1) words.textContent = "Sent; being verified and tested…";
          });
          words.textContent = answer.words;
          say("Installed");
          await renew();
        } catch (refusal) {
          words.textContent = `Refused: ${refusal.message}`;
          words.className = "outcome late";
        } finally {
          gone.hidden = true;
          button.disabled = false;
        }
      },
    }, el("label", { for: "bundle" }, "Bundle"), file, gone, button, words));
}
