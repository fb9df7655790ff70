import { all, call } from "./api.js";
import { el, fill, notice, state, time } from "./dom.js";

export const title = "Tokens";
export const kinds = ["token.", "station.localList", "resync", "poll"];

/** Tokens drawn at most; beyond them the search helps. */
const most = 200;
let sought = "";

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const [tokens, stations] = await Promise.all([all("/tokens", 5000), all("/stations")]);
  const rows = el("tbody", {});
  const count = el("p", { class: "quiet", role: "status" });
  const search = el("input", {
    type: "search", name: "search", maxlength: 64, autocomplete: "off", value: sought, "aria-label": "Search tokens",
    on: { input: () => { sought = search.value; show(); } },
  });
  fill(place, el("h1", {}, title), lists(stations),
    el("form", { class: "card", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
      el("label", {}, "Uid, contract, owner or group", search), count),
    el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title }, el("table", {},
      el("thead", {}, el("tr", {}, ...["Uid", "Owner", "Contract", "Group", "Whitelist", "State", "Charges at a time", "Order"]
        .map((text) => el("th", { scope: "col" }, text)))),
      rows)));
  show();

  function show() {
    const wanted = sought.trim().toLowerCase();
    const found = tokens.filter((token) => [token.uid, token.contract_id, owner(token), token.group_id ?? ""]
      .some((text) => text.toLowerCase().includes(wanted)));
    count.textContent = found.length > most ? `${found.length} tokens, the first ${most} are shown` : `${found.length} tokens`;
    fill(rows, ...found.slice(0, most).map((token) => row(token, me)));
  }
}

/** How many stations' lists are in step with what stands below. @param {any[]} stations */
function lists(stations) {
  const kept = stations.filter((one) => one.localList && one.localList.state !== "off");
  if (!kept.length) return el("p", { class: "quiet" }, "No station's local list is kept in step.");
  const behind = kept.filter((one) => one.localList.state !== "inStep");
  return el("p", {}, `Local lists: ${kept.length - behind.length} of ${kept.length} stations are in step. `,
    behind.length ? `Not in step: ${behind.slice(0, 10).map((one) => one.id).join(", ")}${behind.length > 10 ? " …" : ""}` : "");
}

/** @param {any} token */
function owner(token) { return `${token.country_code}*${token.party_id}`; }

/** @param {any} token @param {any} me */
function row(token, me) {
  const isOver = token.expires && new Date(token.expires) <= new Date();
  const word = !token.valid ? "Blocked" : isOver ? "Expired" : "Valid";
  return el("tr", {},
    el("th", { scope: "row" }, token.uid),
    el("td", {}, owner(token)),
    el("td", {}, token.contract_id),
    el("td", {}, token.group_id ?? "–"),
    el("td", {}, token.whitelist),
    el("td", {}, state(word), token.expires && !isOver ? el("span", { class: "quiet" }, " until ", time(token.expires)) : null),
    el("td", { class: "number" }, token.max_charges === undefined ? "as configured" : token.max_charges || "no bound"),
    el("td", {}, switchOf(token, me)));
}

/** Blocks one of our own, or lets it charge again. @param {any} token @param {any} me */
function switchOf(token, me) {
  if (me.role !== "admin" || owner(token) !== me.party) return "";
  const verb = token.valid ? "Block" : "Unblock";
  return el("button", {
    type: "button", "aria-label": `${verb} ${token.uid}`, on: { click: async () => {
      try {
        await call("PUT", `/tokens/${encodeURIComponent(token.uid)}`, { ...token, valid: !token.valid });
        notice(`${token.uid}: ${token.valid ? "blocked; stations that may remember it forget it" : "may charge again"}`);
        document.dispatchEvent(new CustomEvent("kerb-redraw"));
      } catch (error) {
        notice(error instanceof Error ? error.message : String(error));
      }
    } },
  }, verb);
}
