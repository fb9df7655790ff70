import { call } from "./api.js";
import { el, fill, notice, table } from "./dom.js";

export const title = "Settings";
export const kinds = ["template.", "station.settings", "station.link"];

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const { items } = await call("GET", "/templates");
  const whole = await Promise.all(items.map((/** @type {any} */ one) =>
    call("GET", `/templates/${encodeURIComponent(one.id)}`)));
  fill(place, el("h1", {}, title),
    el("p", {}, "What the settings of a model are to be. Stations are asked after each boot; what differs is sent when you say so."),
    me.role === "viewer" ? null : el("p", {},
      el("button", { type: "button", on: { click: () => edit(null) } }, "New template")),
    ...whole.map((one) => card(one, me)));
}

/** @param {any} one @param {any} me */
function card(one, me) {
  return el("section", { class: "card", "aria-label": `Template ${one.id}` },
    el("div", { class: "head" }, el("h2", {}, one.id),
      el("span", { class: "quiet" }, `${one.vendor} ${one.model}, ${one.settings.length} settings`),
      ...(me.role === "viewer" ? [] : [
        button(`Edit ${one.id}`, "Edit", () => edit(one)),
        button(`Apply ${one.id}`, "Apply to all online", () => apply(one)),
        button(`Delete ${one.id}`, "Delete", () => remove(one)),
      ])),
    one.stations.length ? table(`Stations of ${one.id}`, ["Station", "Link", "Drift"],
      one.stations.map((/** @type {any} */ row) => [row.station, row.online ? "online" : "offline", drift(row.counts)]))
      : el("p", {}, "No station of this model yet."));
}

/** @param {string} label @param {string} text @param {() => void} act */
function button(label, text, act) {
  return el("button", { type: "button", "aria-label": label, on: { click: act } }, text);
}

const words = new Map([["differs", "differ"], ["notSupported", "not supported"], ["unread", "not read yet"],
  ["rebootRequired", "wait for a restart"], ["same", "as wanted"]]);

/** @param {Record<string, number>} counts */
function drift(counts) {
  const told = [...words].filter(([key]) => counts[key]).map(([key, word]) => `${counts[key]} ${word}`);
  return el("span", { class: `state ${counts.differs ? "bad" : counts.same ? "good" : ""}` }, told.join(", "));
}

/** @param {any} one */
async function apply(one) {
  if (!confirm(`Send what differs to every ${one.vendor} ${one.model} that is online?`)) return;
  try {
    const sent = await call("POST", `/templates/${encodeURIComponent(one.id)}/apply`);
    notice(`${one.id}: sent to ${sent.stations.length} stations`);
  } catch (error) {
    notice(`${one.id}: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {any} one */
async function remove(one) {
  if (!confirm(`Forget ${one.id}? Stations stay as they are.`)) return;
  await call("DELETE", `/templates/${encodeURIComponent(one.id)}`).catch((error) => notice(error.message));
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}

/** @param {any} one null makes a new one */
function edit(one) {
  const field = (/** @type {string} */ name, /** @type {string} */ value) =>
    el("input", { name, required: true, maxlength: 50, autocomplete: "off", value });
  const [id, vendor, model] = [field("id", one?.id ?? ""), field("vendor", one?.vendor ?? ""), field("model", one?.model ?? "")];
  id.readOnly = Boolean(one);
  const settings = el("textarea", { name: "settings", rows: 10, required: true, spellcheck: "false" });
  settings.value = (one?.settings ?? []).map((/** @type {any} */ each) => `${each.key}=${each.value}`).join("\n");
  const answer = el("p", { role: "status" });
  const dialog = el("dialog", { "aria-label": "Template", on: { close: () => dialog.remove() } },
    el("form", { on: { submit } }, el("h2", {}, one ? one.id : "New template"),
      el("label", {}, "Name", id), el("label", {}, "Vendor, as its stations tell it", vendor),
      el("label", {}, "Model", model), el("label", {}, "Settings, a line each: Key=value", settings), answer,
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Close"),
        el("button", { type: "submit", class: "main" }, "Save"))));
  document.body.append(dialog);
  dialog.showModal();

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    const lines = settings.value.split("\n").filter((/** @type {string} */ line) => line.trim());
    const wanted = lines.map((/** @type {string} */ line) => {
      const at = line.indexOf("=");
      return { key: line.slice(0, at < 0 ? undefined : at).trim(), value: at < 0 ? null : line.slice(at + 1).trim() };
    });
    try {
      await call("PUT", `/templates/${encodeURIComponent(id.value)}`,
        { vendor: vendor.value, model: model.value, settings: wanted });
      dialog.close();
      document.dispatchEvent(new CustomEvent("kerb-redraw"));
    } catch (error) {
      answer.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}
