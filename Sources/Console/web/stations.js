import * as access from "./access.js";
import { all, call } from "./api.js";
import { button, dialog, el, fill, notice, power, state, time } from "./dom.js";
import * as orders from "./orders.js";
import * as upkeep from "./upkeep.js";

export const title = "Stations";
/** Characters of what a connector says of itself; OCPP 1.6 allows 50. */
const MOST_WORDS = 100;
/** Kinds of events this page redraws for. */
export const kinds = ["station.", "connector.", "session.", "resync", "poll"];

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const stations = await all("/stations");
  if (!stations.length) {
    fill(place, el("h1", {}, title), newStation(me), el("p", {},
      "No station yet. Point one at ", el("code", {}, `${location.origin.replace("http", "ws")}/ocpp/`),
      " followed by its id."));
    return;
  }
  fill(place, el("h1", {}, title), newStation(me), ...stations.map((station) => card(station, me)));
}

/** @param {any} me */
function newStation(me) {
  if (me.role === "viewer") return null;
  return el("p", {}, el("button", { type: "button", on: { click: () => enrol("") } }, "Enrol a station"));
}

/** Makes a board's one-time code and shows it once. @param {string} id */
function enrol(id) {
  const input = el("input", { name: "station", required: true, maxlength: 48, autocomplete: "off", value: id });
  const answer = el("div", { "aria-live": "polite" });
  const dialog = el("dialog", { "aria-label": "Enrol a station", on: { close: () => dialog.remove() } },
    el("form", { on: { submit } },
      el("h2", {}, "Enrol a station"),
      el("label", {}, "Station id", input),
      answer,
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Close"),
        el("button", { type: "submit", class: "main" }, "Make a code"))));
  document.body.append(dialog);
  dialog.showModal();

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    try {
      const made = await call("POST", `/stations/${encodeURIComponent(input.value)}/enrolment`, {});
      fill(answer,
        made.qr ? picture(made.qr, `QR code for the board of ${made.station}`) : null,
        el("p", {}, "Code ", el("code", {}, made.code), ", once, until ", time(made.expiresAt)),
        el("p", {}, "On the board: ", el("code", {}, `kerb-edge enrol '${made.uri}'`)));
    } catch (error) {
      fill(answer, el("p", {}, error instanceof Error ? error.message : String(error)));
    }
  }
}

/** @param {{size: number, path: string}} code @param {string} label */
function picture(code, label) {
  const space = "http://www.w3.org/2000/svg";
  const image = document.createElementNS(space, "svg");
  image.setAttribute("viewBox", `0 0 ${code.size} ${code.size}`);
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", label);
  image.classList.add("qr");
  const dark = document.createElementNS(space, "path");
  dark.setAttribute("d", code.path);
  image.append(dark);
  return image;
}

/** @param {any} station @param {any} me */
function card(station, me) {
  const name = station.identity
    ? `${station.identity.vendor} ${station.identity.model}` : "not booted yet";
  const connectors = station.connectors.filter((/** @type {any} */ one) => one.number > 0);
  return el("section", { class: "card", "aria-label": `Station ${station.id}`, id: `station-${station.id}` },
    el("div", { class: "head" },
      el("h2", {}, station.id),
      el("span", { class: `state ${station.online ? "good" : "bad"}` }, station.online ? "online" : "offline"),
      el("span", { class: "quiet" }, "since ", time(station.linkChangedAt)),
      el("span", { class: "quiet" }, name),
      station.registration === "Accepted" ? null : state(station.registration),
      station.heldOff ? el("span", { class: "state bad" }, "held off") : null,
      localList(station.localList),
      el("button", {
        type: "button", "aria-label": `Access of ${station.id}`, on: { click: () => access.open(station.id, me) },
      }, "Access"),
      el("button", {
        type: "button", "aria-label": `Upkeep of ${station.id}`, on: { click: () => upkeep.open(station.id, me) },
      }, "Upkeep"),
      button("Orders", `Orders to ${station.id}`, () => orders.open(station, me)),
      me.role === "viewer" ? null : button("Enrol", `Enrol the board of ${station.id}`, () => enrol(station.id)),
      me.role === "admin" ? button("Delete", `Delete ${station.id}`, () => remove(station.id)) : null),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Connectors of ${station.id}` },
      el("table", {},
        el("thead", {}, el("tr", {}, ...["Connector", "Status", "Since", "Power", "Error or reason", "Charge"]
          .map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...connectors.map((/** @type {any} */ one) => row(station, one, me))))));
}

/** @param {string} id */
function remove(id) {
  const force = el("input", { type: "checkbox", name: "force" });
  dialog(`Delete ${id}`, [el("p", {}, `${id} leaves the registry; its sessions and bills stay. If it still dials, it comes `
    + "back as one that nobody knows."),
  el("label", {}, force, " although charges run there or EVSEs are tied to it: they are untied (force=true)"),
  ], "Delete", async () => {
    await call("DELETE", `/stations/${encodeURIComponent(id)}${force.checked ? "?force=true" : ""}`);
    return `${id}: deleted`;
  });
}

/** A station's local list in a few words; nothing where none is kept. @param {any} list */
function localList(list) {
  if (!list || (list.state === "off" && !list.awaitsClearCache)) return null;
  const words = {
    inStep: "in step", outOfStep: "not in step", notSupported: "not supported", disabled: "switched off there",
    failed: "not taken", off: "",
  };
  const version = list.version > 0 ? ` ${list.version}` : "";
  const text = list.state === "off" ? "" : `list${version} ${words[list.state] ?? list.state}`;
  const more = [`${list.entries} tokens`, list.cut ? "more than it can hold" : null, list.detail].filter(Boolean);
  return el("span", {},
    text ? el("span", { class: `state ${list.state === "inStep" ? "good" : "bad"}`, title: more.join("; ") }, text) : null,
    list.awaitsClearCache ? el("span", { class: "state bad" }, "cache to be cleared") : null);
}

/** @param {any} station @param {any} connector @param {any} me */
function row(station, connector, me) {
  const known = station.online ? connector.status : `${connector.status} (last known)`;
  return el("tr", {},
    el("th", { scope: "row" }, connector.number),
    el("td", {}, station.online ? state(connector.status) : el("span", { class: "quiet" }, known)),
    el("td", {}, time(connector.since)),
    el("td", { class: "number" }, power(connector.powerWatts)),
    el("td", {}, trouble(connector)),
    el("td", {}, action(station, connector, me)));
}

/** What is wrong, or why no energy flows although nothing is. A station may send any text of any length. @param {any} connector */
function trouble(connector) {
  const words = [connector.errorCode === "NoError" ? "" : connector.errorCode, connector.info ?? ""].filter(Boolean).join(" ");
  return words.length > MOST_WORDS ? `${words.slice(0, MOST_WORDS)}…` : words || "–";
}

/** @param {any} station @param {any} connector @param {any} me */
function action(station, connector, me) {
  if (me.role === "viewer") return connector.session ? "running" : "–";
  const where = `connector ${connector.number} of ${station.id}`;
  if (connector.session) {
    return el("button", {
      type: "button", disabled: !station.online, "aria-label": `Stop ${where}`,
      on: { click: (/** @type {any} */ event) =>
        order(event.target, station.id, { command: "stop", session: connector.session }, `Stop of ${where}`) },
    }, "Stop");
  }
  return el("button", {
    type: "button", disabled: !station.online, "aria-label": `Start ${where}`,
    on: { click: () => ask(station, connector, where) },
  }, "Start");
}

/** @param {any} station @param {any} connector @param {string} where */
function ask(station, connector, where) {
  const input = el("input", { name: "token", required: true, maxlength: 36, autocomplete: "off" });
  const unknown = el("input", { type: "checkbox", name: "unknownToken" });
  dialog(`Start ${where}`, [
    el("label", {}, "Token that pays", input),
    el("label", {}, unknown, " it is not registered, and I vouch for it"),
  ], "Start charging", async () => told(`Start of ${where}`, await send(station.id,
    { command: "start", evse: connector.number, token: input.value, unknownToken: unknown.checked })));
}

/** @param {string} station @param {unknown} body */
function send(station, body) { return call("POST", `/stations/${encodeURIComponent(station)}/commands?wait=30`, body); }

/** @param {string} name @param {any} command */
function told(name, command) { return `${name}: ${command.state}${command.answer ? ` (${command.answer})` : ""}`; }

/**
 * Sends a command and tells its life until the station's answer.
 * @param {any} button @param {string} station @param {unknown} body @param {string} name
 */
export async function order(button, station, body, name) {
  if (button) button.disabled = true;
  notice(`${name}: sent`);
  try {
    notice(told(name, await send(station, body)));
  } catch (error) {
    notice(`${name}: ${error instanceof Error ? error.message : error}`);
  }
  if (button) button.disabled = false;
}
