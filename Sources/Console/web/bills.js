import { call, csv } from "./api.js";
import * as charge from "./charge.js";
import { button, el, fill, notice, pager, redraw, table, time, words } from "./dom.js";

export const title = "Bills";
export const kinds = ["cdr.", "resync", "poll"];

// What is shown stays when the page is drawn anew.
const shown = { from: "", until: "", cursor: "" };

/** @param {Element} place @param {any} me @returns {Promise<void>} */
export async function draw(place, me) {
  const query = new URLSearchParams({ ...period(), newest: "true", limit: "100", cursor: shown.cursor });
  const page = await call("GET", `/cdrs?${query}`);
  if (shown.cursor && !page.items.length) {
    shown.cursor = "";
    return draw(place, me);
  }
  fill(place, el("h1", {}, title), filter(),
    page.items.length ? table(title, ["Made", "Total", "Energy", "Session", "EVSE", "Token", "Bill", "Credit of"],
      page.items.map((/** @type {any} */ bill) => row(bill, me))) : el("p", {}, "No bill was made then."),
    pager(shown.cursor, page.next, (to) => { shown.cursor = to; redraw(); }));
}

/** Whole days of this browser's zone, the last one included. */
function period() {
  /** @type {Record<string, string>} */
  const query = {};
  if (shown.from) query.from = new Date(`${shown.from}T00:00`).toISOString();
  if (shown.until) {
    const end = new Date(`${shown.until}T00:00`);
    end.setDate(end.getDate() + 1);
    query.until = end.toISOString();
  }
  return query;
}

function filter() {
  /** @param {"from"|"until"} name @param {string} label */
  const day = (name, label) => {
    const field = el("input", { name, type: "date", "aria-label": label, value: shown[name], on: { change: () => {
      Object.assign(shown, { [name]: field.value, cursor: "" });
      redraw();
    } } });
    return el("label", {}, label, field);
  };
  return el("div", { class: "row filter" }, day("from", "Made from"), day("until", "Made until, that day too"),
    button("Download as CSV", "Download as CSV", save));
}

/** @param {any} event */
async function save(event) {
  const sender = event.target;
  sender.disabled = true;
  try {
    const place = URL.createObjectURL(await csv(`/cdrs?${new URLSearchParams(period())}`));
    el("a", { href: place, download: `bills${shown.from && ` from ${shown.from}`}${shown.until && ` until ${shown.until}`}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(place), 60_000);
  } catch (error) {
    notice(words(error));
  }
  sender.disabled = false;
}

/** @param {any} bill as OCPI has it @param {any} me */
function row(bill, me) {
  const short = charge.short(bill.session_id);
  return [time(bill.last_updated), charge.money(bill.total_cost, bill.currency), `${bill.total_energy} kWh`,
    button(short, `Details of session ${short} of bill ${bill.id}`, () =>
      charge.open(bill.session_id, me).catch((error) => notice(words(error)))),
    bill.cdr_location.evse_id, charge.hidden(bill.cdr_token.uid), el("code", {}, bill.id),
    bill.credit_reference_id ? el("code", {}, bill.credit_reference_id) : "–"];
}
