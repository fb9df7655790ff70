import { call } from "./api.js";
import { el, fill, notice, pager, time } from "./dom.js";

export const title = "Alerts";
export const kinds = ["station.", "connector.", "suspicion."];

// What is shown stays when the page is drawn anew.
let cursor = "";

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const page = await call("GET", `/alerts?limit=100&cursor=${encodeURIComponent(cursor)}`);
  if (cursor && !page.items.length) {
    cursor = "";
    return draw(place, me);
  }
  const columns = ["Since", "What", "Where", "Detail", "Until", "Seen by"];
  fill(place, el("h1", {}, title),
    page.items.length ? null : el("p", {}, "Nothing is wrong that somebody should be told."),
    page.items.length ? el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...page.items.map((/** @type {any} */ one) => row(one, me))))) : null,
    pager(cursor, page.next, (to) => {
      cursor = to;
      document.dispatchEvent(new CustomEvent("kerb-redraw"));
    }));
}

/** @param {any} one @param {any} me */
function row(one, me) {
  const about = `${one.title}, ${one.subject}`;
  return el("tr", { id: `alert-${one.id}` },
    el("td", {}, time(one.raisedAt)),
    el("th", { scope: "row" }, one.title),
    el("td", {}, one.subject),
    el("td", {}, one.detail),
    el("td", {}, one.endedAt ? time(one.endedAt) : el("span", { class: "state bad" }, "goes on")),
    el("td", {}, one.acknowledgedBy ?? (me.role === "viewer" || one.endedAt ? "–" : el("button",
      { type: "button", "aria-label": `Take note of ${about}`, on: { click: () => acknowledge(one, about) } },
      "Take note"))));
}

/** @param {any} one @param {string} about */
async function acknowledge(one, about) {
  try {
    await call("POST", `/alerts/${one.id}/acknowledgement`);
    notice(`${about}: noted`);
  } catch (error) {
    notice(`${about}: ${error instanceof Error ? error.message : error}`);
  }
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}
