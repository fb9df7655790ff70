import { all, call } from "./api.js";
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
    me.role === "admin" ? el("p", {}, button("New token", "New token", () => edit(null, tokens, me))) : null,
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
    button("Change", `Change ${token.uid}`, () => edit(token, [], me)),
    button(verb, `${verb} ${token.uid}`, async () => {
      try {
        await put(token, { valid: !token.valid });
        notice(`${token.uid}: ${token.valid ? "blocked; stations that may remember it forget it; Unblock undoes it" : "may charge again"}`);
        redraw();
      } catch (error) {
        notice(words(error));
      }
    }));
}

/** @param {any} token @param {any} change */
function put(token, change) { return call("PUT", `/tokens/${encodeURIComponent(token.uid)}`, { ...token, ...change }); }

/** @param {any} token null: a new one @param {any[]} known @param {any} me */
function edit(token, known, me) {
  /** @param {string} name @param {any} [more] */
  const field = (name, more = {}) => el("input", { name, autocomplete: "off", maxlength: 36, value: token?.[name], ...more });
  const [uid, contract, group] = [field("uid", { required: true }), field("contract_id"), field("group_id")];
  const expires = field("expires", { type: "datetime-local", step: 1, maxlength: null, value: localTime(token?.expires) });
  const most = field("max_charges", { inputmode: "numeric", pattern: "[0-9]+" });
  const name = token ? `Change ${token.uid}` : "New token";
  dialog(name, [
    token ? null : el("label", {}, "Uid, as a reader tells it", uid),
    el("label", {}, "Contract; left out: the uid", contract), el("label", {}, "Group", group),
    el("label", {}, `Not accepted from, ${zone()}`, expires),
    el("label", {}, "Charges at a time; 0 is no bound, left out: as configured", most),
  ], "Save", async () => {
    const id = token?.uid ?? uid.value.trim();
    if (!token && known.some((one) => owner(one) === me.party && one.uid.toLowerCase() === id.toLowerCase())) {
      throw new Error(`${id} is there already`);
    }
    const one = token ?? { uid: id, type: "RFID", issuer: me.operator, valid: true, whitelist: "ALLOWED" };
    await put(one, {
      contract_id: contract.value.trim() || id, group_id: group.value.trim() || undefined,
      expires: expires.value ? new Date(expires.value).toISOString() : undefined,
      max_charges: most.value ? Number(most.value) : undefined,
    });
    return `${id}: saved`;
  });
}
