import { call } from "./api.js";
import { el, energy, fill, power, state, time } from "./dom.js";
import { order } from "./stations.js";

export const title = "Sessions";
export const kinds = ["session.", "cdr.", "resync", "poll"];

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const page = await call("GET", "/sessions?limit=100");
  const columns = ["Session", "Station", "Token", "Started", "Ended", "Energy", "Power", "Cost", "State", "Order"];
  fill(place, el("h1", {}, title),
    page.items.length ? null : el("p", {}, "No charge yet. Start one on the stations page."),
    el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...page.items.map((/** @type {any} */ session) => row(session, me))))));
}

/** @param {any} session @param {any} me */
function row(session, me) {
  return el("tr", { id: `session-${session.id}` },
    el("th", { scope: "row" }, session.id.slice(0, 8)),
    el("td", {}, `${session.station} / ${session.connector}`),
    // Who pays is personal: the last four characters tell tokens apart.
    el("td", {}, session.token.length > 4 ? `…${session.token.slice(-4)}` : session.token),
    el("td", {}, time(session.startedAt)),
    el("td", {}, time(session.endedAt)),
    el("td", { class: "number" }, energy(session.energyWh)),
    el("td", { class: "number" }, power(session.powerWatts)),
    el("td", { class: "number" }, cost(session)),
    el("td", {}, state(session.status), session.suspicions.length ? ` ⚠ ${session.suspicions.join(", ")}` : ""),
    el("td", {}, stop(session, me)));
}

/** @param {any} session */
function cost(session) {
  if (!session.cost) return "–";
  const amount = session.cost.inclVAT ?? session.cost.exclVAT;
  return new Intl.NumberFormat(undefined, { style: "currency", currency: session.cost.currency }).format(amount);
}

/** @param {any} session @param {any} me */
function stop(session, me) {
  if (session.endedAt || me.role === "viewer") return "";
  return el("button", {
    type: "button", "aria-label": `Stop session ${session.id.slice(0, 8)}`,
    on: { click: (/** @type {any} */ event) => order(
      event.target, session.station, { command: "stop", session: session.id }, "Stop") },
  }, "Stop");
}
