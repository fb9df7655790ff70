import { call } from "./api.js";
import { button, dialog, el, fill, notice, state, table, time, words } from "./dom.js";

/** Commands and reservations that are shown. */
const most = 50;

const kinds = /** @type {[string, string][]} */ ([
  ["softReset", "Restart its program (soft reset)"], ["hardReset", "Restart it whole (hard reset); charges end"],
  ["unlock", "Unlock a connector"], ["operative", "Put into service"], ["inoperative", "Take out of service"],
  ["trigger", "Ask for a message"], ["getSettings", "Read settings"], ["changeSetting", "Change a setting"],
  ["clearCache", "Forget remembered tokens (clear cache)"],
]);
const messages = ["StatusNotification", "MeterValues", "Heartbeat", "BootNotification", "DiagnosticsStatusNotification",
  "FirmwareStatusNotification"];

/** What a station was ordered, what became of it, and who has it reserved. @param {any} station @param {any} me */
export async function open(station, me) {
  const { id } = station;
  const path = `/stations/${encodeURIComponent(id)}`;
  const lists = el("div", {});
  // Here, not at the foot of the page: that lies behind the dialog.
  const said = el("p", { role: "status" });
  try {
    await show();
  } catch (error) {
    notice(words(error));
    return;
  }
  dialog(`Orders to ${id}`, [
    me.role === "viewer" ? null : el("div", { class: "row" },
      button("Give an order", `Give an order to ${id}`, () => ask())),
    lists, said, el("div", { class: "row" }, button("Look again", `Look again at the orders to ${id}`, () => tried(show))),
  ], null, undefined, true);

  async function show() {
    const query = `station=${encodeURIComponent(id)}&limit=${most}`;
    const [commands, reservations] = await Promise.all([
      call("GET", `/commands?${query}`), call("GET", `/reservations?${query}`)]);
    fill(lists, commands.items.length ? table(`Orders to ${id}`, ["Given", "Order", "State", "Answer", "Effect", "By", "Action"],
      commands.items.map((/** @type {any} */ one) => [time(one.createdAt), one.command, when(one), one.answer ?? "–",
        one.effect ?? "–", one.reference,
        one.state === "queued" && me.role !== "viewer" ? button("Cancel", `Cancel ${one.command} of ${id}`, () =>
          tried(async () => { await call("DELETE", `/commands/${one.id}`); await show(); })) : ""]))
      : el("p", {}, "It was ordered nothing yet."),
    reservations.items.length ? el("h3", {}, "Reservations") : null,
    reservations.items.length ? table(`Reservations of ${id}`, ["Number", "Connector", "State", "Until", "Action"],
      reservations.items.map((/** @type {any} */ one) => [one.reservation, one.evse || "any", one.state, time(one.expires),
        ["asked", "held"].includes(one.state) && me.role !== "viewer"
          ? button("Cancel", `Cancel reservation ${one.reservation} of ${id}`, () => tried(async () => {
            const command = await send({ command: "cancelReservation", reservation: one.reservation });
            await show();
            said.textContent = told(`Cancel reservation ${one.reservation}`, command);
          })) : ""])) : null);
  }

  function ask() {
    const kind = el("select", { name: "order", on: { change: choose } }, ...kinds.map(([value, text]) => el("option", { value }, text)));
    const connector = el("select", { name: "connector" });
    const message = el("select", { name: "message" }, ...messages.map((text) => el("option", { value: text }, text)));
    const key = el("input", { name: "key", maxlength: 50, autocomplete: "off" });
    const value = el("input", { name: "value", maxlength: 500, autocomplete: "off" });
    const fields = {
      connector: el("label", {}, "Connector", connector), message: el("label", {}, "Message", message),
      key: el("label", {}, "Setting (OCPP key)", key), value: el("label", {}, "Value", value),
    };
    choose();
    const name = `Order to ${id}`;
    dialog(name, [el("label", {}, "Order", kind), ...Object.values(fields),
      station.online ? null : el("p", { class: "quiet" }, "It is away: the order may fail or wait.")], "Send", async () => {
      const command = await send(body(kind.value, connector.value, message.value, key.value.trim(), value.value));
      tried(show);
      return said.textContent = told(kinds.find(([one]) => one === kind.value)?.[1] ?? name, command);
    });

    function choose() {
      const chosen = kind.value;
      const isWhole = chosen !== "unlock";
      fields.connector.hidden = !["unlock", "operative", "inoperative", "trigger"].includes(chosen);
      fields.message.hidden = chosen !== "trigger";
      fields.key.hidden = !["getSettings", "changeSetting"].includes(chosen);
      fields.value.hidden = chosen !== "changeSetting";
      key.required = chosen === "changeSetting";
      fill(connector, isWhole ? el("option", { value: "" }, "the whole station") : null,
        ...station.connectors.filter((/** @type {any} */ one) => one.number > 0)
          .map((/** @type {any} */ one) => el("option", { value: one.number }, String(one.number))));
    }
  }

  /** @param {() => Promise<any>} act */
  function tried(act) {
    said.textContent = "";
    act().catch((error) => { said.textContent = words(error); });
  }

  /** @param {any} body */
  function send(body) { return call("POST", `${path}/commands?wait=30`, body); }
}

/** @param {string} kind @param {string} connector @param {string} message @param {string} key @param {string} value */
function body(kind, connector, message, key, value) {
  const where = connector ? { connector: Number(connector) } : {};
  switch (kind) {
    case "softReset": return { command: "reset", kind: "Soft" };
    case "hardReset": return { command: "reset", kind: "Hard" };
    case "operative": case "inoperative": return { command: "setAvailability", operative: kind === "operative", ...where };
    case "trigger": return { command: "trigger", message, ...where };
    case "unlock": return { command: "unlock", ...where };
    case "getSettings": return { command: "getSettings", keys: key ? [key] : [] };
    case "changeSetting": return { command: "changeSetting", key, value };
    default: return { command: kind };
  }
}

/** How far an order is, and when one with a time goes out. @param {any} command */
function when(command) {
  if (command.state !== "queued" || !command.notBefore) return state(command.state);
  return el("span", {}, state(command.state), el("span", { class: "quiet" }, " for ", time(command.notBefore)));
}

/** @param {string} name @param {any} command */
function told(name, command) { return `${name}: ${command.state}${command.answer ? ` (${command.answer})` : ""}`; }
