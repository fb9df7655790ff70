import { call } from "./api.js";
import { el, fill, pager, redraw, table, time } from "./dom.js";

export const title = "Audit";
/** Who may see it; left out elsewhere: everybody. */
export const role = "admin";
/** Redrawn when asked only. @type {string[]} */
export const kinds = [];

let cursor = "";

/** Who did what, for reading only. @param {Element} place */
export async function draw(place) {
  const page = await call("GET", `/audit?limit=100&cursor=${encodeURIComponent(cursor)}`);
  fill(place, el("h1", {}, title),
    page.items.length ? table(title, ["When", "Who", "From", "What", "Of", "Detail"],
      page.items.map((/** @type {any} */ one) => [time(one.at), one.who, one.address, one.action, one.subject, detail(one.detail)]))
      : el("p", {}, "Nothing yet."),
    pager(cursor, page.next, (to) => { cursor = to; redraw(); }));
}

/** Characters of a line's detail; a whole tariff stands in one. */
const mostDetail = 200;

/** @param {any} value */
function detail(value) {
  const text = Object.entries(value ?? {}).map(([name, one]) => `${name}: ${typeof one === "object" ? JSON.stringify(one) : one}`).join(", ");
  return text.length > mostDetail ? `${text.slice(0, mostDetail)}…` : text || "–";
}
