import { call } from "./api.js";
import * as charge from "./charge.js";
import * as deliveries from "./deliveries.js";
import { button, dialog, el, energy, fill, notice, pager, redraw, state, time, words } from "./dom.js";

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
      redraw();
    }),
    notTaken);
}

/** @param {any} one @param {any} me */
function row(one, me) {
  return el("tr", { id: `suspicion-${one.id}` },
    el("td", {}, time(one.at)),
    el("th", { scope: "row" }, one.code),
    el("td", {}, one.connector === undefined ? one.station : `${one.station} / ${one.connector}`),
    el("td", {}, one.session ? button(charge.short(one.session), `Details of session ${charge.short(one.session)}`,
      () => tried(() => charge.open(one.session, me))) : "–",
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
    made.push(button("Bind", `Bind ${about}`, () => tried(() => bind(one, about))),
      button("Void", `Void ${about}`, () => ask(one, "void", about)));
  }
  if (one.session && one.sessionStatus === "COMPLETED") {
    made.push(button("Correct", `Correct ${about}`, () => tried(async () =>
      charge.correct(await call("GET", `/sessions/${encodeURIComponent(one.session)}`), about))),
      button("Void", `Void ${about}`, () => ask(one, "void", about)));
  }
  return made;
}

/** @param {() => Promise<any>} act */
function tried(act) { act().catch((error) => notice(words(error))); }

/** @param {any} one @param {string} decision @param {string} about @param {any} [session] a field with its id */
function ask(one, decision, about, session) {
  const reason = charge.reasonField();
  const heading = `${decision[0].toUpperCase()}${decision.slice(1)} ${about}`;
  const explained = {
    accept: "The bill stays as it is.", void: "A bill is taken back by a credit; nothing is owed.",
    bind: "What came of an unknown transaction goes into this session, with its bill.",
  };
  dialog(heading, [
    el("p", { class: "quiet" }, explained[/** @type {keyof typeof explained} */ (decision)]),
    session ? el("label", {}, "Session", session) : null,
    el("label", {}, "Reason", reason),
  ], "Decide", async () => {
    /** @type {Record<string, unknown>} */
    const body = { decision, reason: reason.value };
    if (session) body.session = session.value;
    await call("POST", `/suspicions/${one.id}/decision`, body);
    return `${heading}: done`;
  });
}

/** Sessions of a station that are offered. */
const mostOffered = 50;

/** @param {any} one @param {string} about */
async function bind(one, about) {
  const page = await call("GET", `/sessions?limit=${mostOffered}&station=${encodeURIComponent(one.station)}`);
  if (!page.items.length) throw new Error(`${one.station} has no session that it could be bound to`);
  ask(one, "bind", about, el("select", { name: "session", required: true }, el("option", { value: "" }, "Which one?"),
    ...page.items.map((/** @type {any} */ session) => el("option", { value: session.id },
      `${new Date(session.startedAt).toLocaleString()}, connector ${session.connector}, ${energy(session.energyWh)}, `
      + `${session.status}, ${charge.short(session.id)}`))));
}
