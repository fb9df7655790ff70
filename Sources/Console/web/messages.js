import { call } from "./api.js";
import { el, fill, notice, time } from "./dom.js";

export const title = "Messages";
/**
 * Redrawn when asked only: a table that moves cannot be read, and what is being typed must stay.
 * @type {string[]}
 */
export const kinds = [];

const search = { station: "", action: "", text: "" };

/** @param {Element} place */
export async function draw(place) {
  const rows = el("div", {});
  // Before the fields are made: nothing can be typed between their making and their showing.
  await show("");
  // Remembered as it is typed: a page that is drawn anew meanwhile still has it.
  const inputs = Object.fromEntries(Object.keys(search).map((name) => [name, el("input", {
    name, autocomplete: "off", value: /** @type {any} */ (search)[name],
    on: { input: (/** @type {any} */ event) => { /** @type {any} */ (search)[name] = event.target.value; } },
  })]));
  fill(place, el("h1", {}, title),
    el("form", { class: "row", on: { submit } },
      el("label", {}, "Station", inputs.station),
      el("label", {}, "Action", inputs.action),
      el("label", {}, "Contains", inputs.text),
      el("button", { type: "submit", class: "main" }, "Search")),
    rows);

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    for (const [name, input] of Object.entries(inputs)) {
      /** @type {any} */ (search)[name] = input.value.trim();
    }
    await show("").catch((error) => notice(error.message));
  }

  /** @param {string} cursor */
  async function show(cursor) {
    const query = new URLSearchParams({ ...search, cursor, limit: "50" });
    const page = await call("GET", `/messages?${query}`);
    const columns = ["Time", "Station", "Direction", "Action", "Request", "Answer", "ms", "Note"];
    fill(rows,
      page.items.length ? el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
        el("table", {},
          el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
          el("tbody", {}, ...page.items.map(row)))) : el("p", {}, "Nothing of this kind is kept."),
      page.next ? el("button", { type: "button", on: { click: () => show(page.next) } }, "Older") : null);
  }
}

/** @param {any} one */
function row(one) {
  return el("tr", {},
    el("td", {}, time(one.at)), el("th", { scope: "row" }, one.station),
    el("td", {}, one.inbound ? "from it" : "to it"), el("td", {}, one.action),
    el("td", {}, el("code", {}, one.request)),
    el("td", {}, one.answer ? el("code", {}, one.answer) : "–"),
    el("td", { class: "number" }, one.tookMilliseconds ?? "–"), el("td", {}, one.note ?? "–"));
}
