// One charge: what it came to, and a person's word on its bill.
import { call } from "./api.js";
import { button, dialog, el, energy, localTime, state, time, zone } from "./dom.js";

/** Of an id, as lists show it. @param {string} id */
export function short(id) { return id.slice(0, 8); }

/** Who pays is personal: the last four characters tell tokens apart. @param {string} token */
export function hidden(token) { return token.length > 4 ? `…${token.slice(-4)}` : token; }

/** @param {any} cost as a session or a bill has it @param {string} [currency] */
export function money(cost, currency = cost?.currency) {
  if (!cost) return "–";
  const amount = cost.inclVAT ?? cost.exclVAT ?? cost.incl_vat ?? cost.excl_vat;
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount);
}

/** @param {string} id @param {any} me */
export async function open(id, me) {
  const [one, seen] = await Promise.all([
    call("GET", `/sessions/${encodeURIComponent(id)}`),
    call("GET", `/suspicions?state=all&limit=20&session=${encodeURIComponent(id)}`)]);
  const about = `session ${short(id)}`;
  const facts = [
    ["Session", el("code", {}, one.id)], ["Station", `${one.station} / ${one.connector}`],
    ["Place", `${one.location} ${one.evseUID}`], ["Token", `${hidden(one.token)} of ${one.tokenParty}`],
    ["State", state(one.status)], ["Started", time(one.startedAt)], ["Ended", time(one.endedAt)],
    ["Register at the start", `${one.meterStartWh} Wh`], ["Register at the end", `${one.meterLastWh} Wh`],
    ["Energy", energy(one.energyWh)], ["Tariff", one.tariff ?? "–"], ["Cost", money(one.cost)],
    ["Ended by", one.stopReason ?? "–"],
    ...(one.bills ?? []).map((/** @type {any} */ bill) => [bill.creditOf ? "Credit" : "Bill",
      el("span", {}, el("code", {}, bill.id), ` ${money(bill.cost)}, `, time(bill.createdAt))]),
    ...seen.items.map((/** @type {any} */ other) => [other.code,
      `${other.detail} (${other.state}${other.decidedBy ? ` by ${other.decidedBy}` : ""})`]),
  ];
  const mayDecide = me.role !== "viewer" && one.endedAt && one.status === "COMPLETED";
  const box = dialog(`Details of ${about}`, [
    el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    mayDecide ? el("div", { class: "row" },
      button("Correct", `Correct ${about}`, () => { box.close(); correct(one, about); }),
      button("Void", `Void ${about}`, () => { box.close(); undo(one, about); })) : null,
  ], null, undefined, true);
}

export function reasonField() {
  return el("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" });
}

/** Bills it anew. @param {any} one the session @param {string} about */
export function correct(one, about) {
  const register = (/** @type {string} */ name, /** @type {number} */ value) =>
    el("input", { name, inputmode: "numeric", pattern: "[0-9]+", autocomplete: "off", value });
  const moment = (/** @type {string} */ name, /** @type {string} */ value) =>
    el("input", { name, type: "datetime-local", step: 1, value: localTime(value) });
  const registers = [register("meterStartWh", one.meterStartWh), register("meterStopWh", one.meterLastWh)];
  const moments = [moment("startedAt", one.startedAt), moment("endedAt", one.endedAt)];
  const before = new Map([...registers, ...moments].map((field) => [field, field.value]));
  const reason = reasonField();
  const heading = `Correct ${about}`;
  dialog(heading, [
    el("p", { class: "quiet" }, "The bill is taken back by a credit and made anew. What is left as it is stays so."),
    el("p", {}, `Now ${energy(one.energyWh)} from `, time(one.startedAt), " to ", time(one.endedAt), `, ${money(one.cost)}.`),
    el("label", {}, "Register at the start, Wh", registers[0]), el("label", {}, "Register at the end, Wh", registers[1]),
    el("label", {}, `Start, ${zone()}`, moments[0]), el("label", {}, `End, ${zone()}`, moments[1]),
    el("label", {}, "Reason", reason),
  ], "Decide", async () => {
    /** @type {Record<string, unknown>} */
    const body = { reason: reason.value };
    const changed = (/** @type {any} */ field) => field.value && field.value !== before.get(field);
    for (const field of registers.filter(changed)) body[field.name] = Number(field.value);
    for (const field of moments.filter(changed)) body[field.name] = new Date(field.value).toISOString();
    const made = await call("POST", `/sessions/${encodeURIComponent(one.id)}/correction`, body);
    return `${heading}: ${made.cdr ?? "no bill"} replaces the former bill`;
  });
}

/** Takes its bill back. @param {any} one the session @param {string} about */
function undo(one, about) {
  const reason = reasonField();
  dialog(`Void ${about}`, [
    el("p", { class: "quiet" }, `The bill of ${money(one.cost)} is taken back by a credit; nothing is owed.`),
    el("label", {}, "Reason", reason),
  ], "Decide", async () => {
    await call("POST", `/sessions/${encodeURIComponent(one.id)}/correction`, { void: true, reason: reason.value });
    return `Void ${about}: done`;
  });
}
