import { call } from "./api.js";
import * as deliveries from "./deliveries.js";
import { el, energy, fill, notice, pager, state, time } from "./dom.js";

export const title = "Review";
export const kinds = ["suspicion.", "session.corrected", "cdr.", "resync", "poll"];

// What is shown stays when the page is drawn anew.
let cursor = "";

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const [page, notTaken] = await Promise.all([
    call("GET", `/suspicions?limit=100&cursor=${encodeURIComponent(cursor)}`), deliveries.section(me)]);
  if (cursor && !page.items.length) {
    cursor = "";
    return draw(place, me);
  }
  const columns = ["Seen", "What", "Station", "Session", "Energy", "Detail", "Decision"];
  fill(place, el("h1", {}, title),
    page.items.length || notTaken ? null : el("p", {}, "Nothing waits for a person."),
    page.items.length ? el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...page.items.map((/** @type {any} */ one) => row(one, me))))) : null,
    pager(cursor, page.next, (to) => {
      cursor = to;
      document.dispatchEvent(new CustomEvent("kerb-redraw"));
    }),
    notTaken);
}

/** @param {any} one @param {any} me */
function row(one, me) {
  return el("tr", { id: `suspicion-${one.id}` },
    el("td", {}, time(one.at)),
    el("th", { scope: "row" }, one.code),
    el("td", {}, one.connector === undefined ? one.station : `${one.station} / ${one.connector}`),
    el("td", {}, one.session ? one.session.slice(0, 8) : "–",
      one.sessionStatus ? el("span", {}, " ", state(one.sessionStatus)) : null),
    el("td", { class: "number" }, one.energyWh === undefined ? "–" : energy(one.energyWh)),
    el("td", {}, one.detail),
    el("td", {}, me.role === "viewer" ? "–" : el("div", { class: "row" }, ...buttons(one))));
}

/** @param {any} one */
function buttons(one) {
  const about = `${one.code} of ${one.station}`;
  const made = [button("Accept", `Accept ${about}`, () => ask(one, "accept", about))];
  if (one.parked?.some((/** @type {any} */ message) => message.state === "waiting")) {
    made.push(button("Bind", `Bind ${about}`, () => ask(one, "bind", about)),
      button("Void", `Void ${about}`, () => ask(one, "void", about)));
  }
  if (one.session && one.sessionStatus === "COMPLETED") {
    made.push(button("Correct", `Correct ${about}`, () => ask(one, "correct", about)),
      button("Void", `Void ${about}`, () => ask(one, "void", about)));
  }
  return made;
}

/** @param {string} text @param {string} label @param {() => void} click */
function button(text, label, click) {
  return el("button", { type: "button", "aria-label": label, on: { click } }, text);
}

const explained = new Map([
  ["accept", "The bill stays as it is."],
  ["void", "A bill is taken back by a credit; nothing is owed."],
  ["bind", "What came of an unknown transaction goes into this session, with its bill."],
  ["correct", "The bill is taken back by a credit and made anew. What is left empty stays as it is."],
]);

/** @param {any} one @param {string} decision @param {string} about */
function ask(one, decision, about) {
  const reason = el("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" });
  const start = el("input", { name: "meterStartWh", inputmode: "numeric", pattern: "[0-9]+" });
  const stop = el("input", { name: "meterStopWh", inputmode: "numeric", pattern: "[0-9]+" });
  const session = el("input", { name: "session", required: true, maxlength: 36, autocomplete: "off" });
  const heading = `${decision[0].toUpperCase()}${decision.slice(1)} ${about}`;
  const dialog = el("dialog", { "aria-label": heading, on: { close: () => dialog.remove() } },
    el("form", { method: "dialog", on: { submit } },
      el("h2", {}, heading),
      el("p", { class: "quiet" }, explained.get(decision)),
      decision === "correct" ? el("label", {}, "Register at the start, Wh", start) : null,
      decision === "correct" ? el("label", {}, "Register at the end, Wh", stop) : null,
      decision === "bind" ? el("label", {}, "Session id", session) : null,
      el("label", {}, "Reason", reason),
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        el("button", { type: "submit", class: "main" }, "Decide"))));
  document.body.append(dialog);
  dialog.showModal();

  async function submit() {
    try {
      if (decision === "correct") {
        /** @type {Record<string, unknown>} */
        const body = { reason: reason.value };
        if (start.value) body.meterStartWh = Number(start.value);
        if (stop.value) body.meterStopWh = Number(stop.value);
        const made = await call("POST", `/sessions/${encodeURIComponent(one.session)}/correction`, body);
        notice(`${heading}: ${made.cdr ?? "no bill"} replaces the former bill`);
      } else {
        /** @type {Record<string, unknown>} */
        const body = { decision, reason: reason.value };
        if (decision === "bind") body.session = session.value;
        await call("POST", `/suspicions/${one.id}/decision`, body);
        notice(`${heading}: done`);
      }
    } catch (error) {
      notice(`${heading}: ${error instanceof Error ? error.message : error}`);
    }
    document.dispatchEvent(new CustomEvent("kerb-redraw"));
  }
}
