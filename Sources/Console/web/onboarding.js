import { all, call } from "./api.js";
import { el, fill, notice, time } from "./dom.js";

export const title = "Onboarding";
export const kinds = ["station.", "resync", "poll"];

/** Stations that wait whose ways in are looked at. */
const mostLookedAt = 50;

/** What it comes with, before anybody trusts it. @param {any} access */
function shows(access) {
  if (!access) return "–";
  if (access.provenProfile === 3) return "a client certificate, TLS";
  return [access.hasPassword ? "a password" : "no password", access.provenProfile === 2 ? "TLS" : null].filter(Boolean).join(", ");
}

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const stations = await all("/stations");
  const refusals = await call("GET", "/refusals");
  const known = new Set(stations
    .filter((/** @type {any} */ one) => one.registration === "Accepted")
    .map((/** @type {any} */ one) => one.id.toLowerCase()));
  const waiting = stations.filter((/** @type {any} */ one) => one.registration === "Pending");
  const held = stations.filter((/** @type {any} */ one) => one.heldOff);
  // What each proved itself by is told of single stations only.
  const access = new Map(await Promise.all(waiting.slice(0, mostLookedAt).map(async (one) =>
    /** @type {[string, any]} */ ([one.id, (await call("GET", `/stations/${encodeURIComponent(one.id)}`).catch(() => null))?.access]))));
  fill(place, el("h1", {}, title),
    el("h2", {}, "Waiting to be taken in"),
    table("Waiting to be taken in", ["Station", "What it says it is", "From", "Shows", "Seen", "Decision"],
      waiting.map((/** @type {any} */ one) => [
        one.id, one.identity ? `${one.identity.vendor} ${one.identity.model}` : "not booted yet",
        access.get(one.id)?.cameFrom ?? "–", shows(access.get(one.id)),
        time(one.linkChangedAt), decision(one.id, me)]), "No station waits."),
    el("h2", {}, "Held off"),
    table("Held off", ["Station", "Why", "Seen at", "Until", "Decision"],
      held.map((/** @type {any} */ one) => [
        one.id, one.heldOff.reason, [...one.heldOff.addresses, ...one.heldOff.devices].join(", "), time(one.heldOff.until),
        me.role === "viewer" ? "–" : button("Lift", `Lift the hold of ${one.id}`, () =>
          act(`${one.id} may come again`, "DELETE", `/stations/${encodeURIComponent(one.id)}/hold`))]),
      "No station is held off."),
    el("h2", {}, "Another device by the same id"),
    table("Another device by the same id", ["Station", "Was", "Is", "Since", "Times"],
      stations.filter((/** @type {any} */ one) => one.replaced).map((/** @type {any} */ one) => [
        one.id, one.replaced.former,
        `${one.identity.vendor} ${one.identity.model}, ${one.identity.serial ? `serial ${one.identity.serial}` : "no serial"}`,
        time(one.replaced.at), one.replaced.times]), "No station is another device than before."),
    el("h2", {}, "Refused connections"),
    table("Refused connections", ["Station", "Why", "From", "Times", "Last", "Decision"],
      refusals.items.map((/** @type {any} */ one) => [
        one.station, one.reason, one.address, one.times, time(one.lastAt),
        known.has(one.station) || one.station === "?" ? "–" : decision(one.station, me)]),
      "No connection was refused."));
}

/** @param {string} label @param {string[]} columns @param {any[][]} rows @param {string} none */
function table(label, columns, rows, none) {
  if (!rows.length) return el("p", {}, none);
  return el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": label },
    el("table", {},
      el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {},
        el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell)))))));
}

/** @param {string} id @param {any} me */
function decision(id, me) {
  if (me.role === "viewer") return "–";
  const path = `/stations/${encodeURIComponent(id)}`;
  return el("div", { class: "row" },
    button("Adopt", `Adopt ${id}`, () => act(`${id} is taken in`, "PUT", path, { registration: "Accepted" })),
    button("Reject", `Reject ${id}`, () => act(`${id} is rejected`, "PUT", path, { registration: "Rejected" })));
}

/** @param {string} text @param {string} label @param {() => void} click */
function button(text, label, click) {
  return el("button", { type: "button", "aria-label": label, on: { click } }, text);
}

/** @param {string} done @param {string} method @param {string} path @param {unknown} [body] */
async function act(done, method, path, body) {
  try {
    await call(method, path, body);
    notice(done);
  } catch (error) {
    notice(error instanceof Error ? error.message : String(error));
  }
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}
