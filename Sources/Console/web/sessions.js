import { call } from "./api.js";
import * as charge from "./charge.js";
import { button, el, energy, fill, notice, pager, power, redraw, state, time, words } from "./dom.js";
import { order } from "./stations.js";

export const title = "Sessions";
export const kinds = ["session.", "cdr.", "resync", "poll"];

// What is shown, and what is typed, stay when the page is drawn anew.
const shown = { station: "", state: "", cursor: "" };
let typed = "";

/** @param {Element} place @param {any} me @returns {Promise<void>} */
export async function draw(place, me) {
  const query = new URLSearchParams({ limit: "100", cursor: shown.cursor });
  if (shown.station) query.set("station", shown.station);
  if (shown.state) query.set("state", shown.state);
  const page = await call("GET", `/sessions?${query}`);
  if (shown.cursor && !page.items.length) {
    shown.cursor = "";
    return draw(place, me);
  }
  const isWhole = !shown.station && !shown.state && !shown.cursor;
  const columns = ["Session", "Station", "Token", "Started", "Ended", "Energy", "Power", "Cost", "State", "Order"];
  fill(place, el("h1", {}, title), filter(),
    page.items.length ? null : el("p", {}, isWhole ? "No charge yet. Start one on the stations page." : "None is so."),
    el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...page.items.map((/** @type {any} */ session) => row(session, me))))),
    pager(shown.cursor, page.next, (to) => go({ cursor: to })));
}

/** @param {Partial<typeof shown>} change */
function go(change) {
  Object.assign(shown, { cursor: "" }, change);
  redraw();
}

function filter() {
  const station = el("input", {
    name: "station", autocomplete: "off", maxlength: 48, value: typed, "aria-label": "Station, its whole id",
    on: { input: () => { typed = station.value; } },
  });
  const states = el("select", { name: "state", "aria-label": "State", on: { change: () => go({ state: states.value }) } },
    ...["", "ACTIVE", "COMPLETED", "INVALID", "PENDING"].map((value) => el("option", { value }, value || "any")));
  states.value = shown.state;
  return el("form", { class: "row filter", on: { submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    go({ station: typed.trim() });
  } } },
  el("label", {}, "Station, its whole id", station), el("label", {}, "State", states),
  el("button", { type: "submit", class: "main" }, "Show"));
}

/** @param {any} session @param {any} me */
function row(session, me) {
  const short = charge.short(session.id);
  return el("tr", { id: `session-${session.id}` },
    el("th", { scope: "row" }, button(short, `Details of session ${short}`, () =>
      charge.open(session.id, me).catch((error) => notice(words(error))))),
    el("td", {}, `${session.station} / ${session.connector}`),
    el("td", {}, charge.hidden(session.token)),
    el("td", {}, time(session.startedAt)),
    el("td", {}, time(session.endedAt)),
    el("td", { class: "number" }, energy(session.energyWh)),
    el("td", { class: "number" }, power(session.powerWatts)),
    el("td", { class: "number" }, charge.money(session.cost)),
    el("td", {}, state(session.status), session.suspicions.length ? ` ⚠ ${session.suspicions.join(", ")}` : ""),
    el("td", {}, stop(session, me)));
}

/** @param {any} session @param {any} me */
function stop(session, me) {
  if (session.endedAt || me.role === "viewer") return "";
  return button("Stop", `Stop session ${charge.short(session.id)}`, (event) =>
    order(event.target, session.station, { command: "stop", session: session.id }, "Stop"));
}
