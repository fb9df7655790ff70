import { all, call, Problem } from "./api.js";
import { button, dialog, el, fill, localTime, notice, redraw, state, time, words, zone } from "./dom.js";

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
    me.role === "admin" ? el("p", {}, button("New token", "New token", () => edit(null, me))) : null,
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

/** Changes one of our own: blocks it, or lets it charge again, at one click that the other undoes. @param {any} token @param {any} me */
function switchOf(token, me) {
  if (me.role !== "admin" || owner(token) !== me.party) return "";
  const verb = token.valid ? "Block" : "Unblock";
  return el("div", { class: "row" },
    button("Change", `Change ${token.uid}`, () => edit(token, me)),
    button(verb, `${verb} ${token.uid}`, async () => {
      try {
        await put(token, { valid: !token.valid }, me);
        notice(`${token.uid}: ${token.valid ? "blocked; stations that may remember it forget it; Unblock undoes it" : "may charge again"}`);
        redraw();
      } catch (error) {
        notice(words(error));
      }
    }));
}

/** @param {string} uid */
function path(uid) { return `/tokens/${encodeURIComponent(uid)}`; }

/** Our own of this uid, as it is by now; null where there is none. @param {string} uid @param {any} me */
async function current(uid, me) {
  try {
    const found = await call("GET", path(uid));
    return owner(found) === me.party ? found : null;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

/** Lays a change over the token as it is by now: what another changed since the page was drawn stays. @param {any} token @param {any} change @param {any} me */
async function put(token, change, me) {
  const now = await current(token.uid, me);
  if (now?.type !== token.type) throw new Error(`${token.uid} is not there any more as it is shown: reload the page`);
  return call("PUT", path(token.uid), { ...now, ...change });
}

/** @param {any} token null: a new one @param {any} me */
function edit(token, me) {
  /** @param {string} name @param {any} [more] */
  const field = (name, more = {}) => el("input", { name, autocomplete: "off", maxlength: 36, value: token?.[name], ...more });
  const [uid, contract, group] = [field("uid", { required: true }), field("contract_id"), field("group_id")];
  const expires = field("expires", { type: "datetime-local", step: 1, maxlength: null, value: localTime(token?.expires) });
  const most = field("max_charges", { inputmode: "numeric", pattern: "[0-9]+" });
  // As the browser spells them.
  const drawn = new Map([contract, group, expires, most].map((one) => [one, one.value]));
  const name = token ? `Change ${token.uid}` : "New token";
  dialog(name, [
    token ? null : el("label", {}, "Uid, as a reader tells it", uid),
    el("label", {}, "Contract; left out: the uid", contract), el("label", {}, "Group", group),
    el("label", {}, `Not accepted from, ${zone()}`, expires),
    el("label", {}, "Charges at a time; 0 is no bound, left out: as configured", most),
  ], "Save", async () => {
    const id = token?.uid ?? uid.value.trim();
    const change = edited();
    if (token) {
      await put(token, change, me);
    } else {
      if (await current(id, me)) throw new Error(`${id} is there already`);
      await call("PUT", path(id), {
        uid: id, type: "RFID", issuer: me.operator, valid: true, whitelist: "ALLOWED", contract_id: id, ...change });
    }
    return `${id}: saved`;
  });

  /** The fields that say something else than they were drawn with. A time is drawn in whole seconds, so one that stayed is not sent. */
  function edited() {
    /** @type {Record<string, any>} */
    const change = {};
    if (contract.value !== drawn.get(contract)) change.contract_id = contract.value.trim() || token?.uid || uid.value.trim();
    if (group.value !== drawn.get(group)) change.group_id = group.value.trim() || undefined;
    if (expires.value !== drawn.get(expires)) change.expires = expires.value ? new Date(expires.value).toISOString() : undefined;
    if (most.value !== drawn.get(most)) change.max_charges = most.value ? Number(most.value) : undefined;
    return change;
  }
}
