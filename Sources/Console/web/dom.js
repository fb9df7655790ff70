// Building pages without HTML texts: what a station or a driver wrote is only ever a text node.

/**
 * An element with attributes, listeners (`on`) and children; texts become text nodes.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] null and false leave one out
 * @param {...(Node|string|number|null|undefined)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Replaces what is in it; null leaves one out. @param {Element} parent @param {...(Node|string|null)} children */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null));
}

/**
 * Buttons to an older page of a list and back to its newest; null where it is whole.
 * @param {string} cursor of the page that is shown, "" for the newest
 * @param {string|null} next
 * @param {(cursor: string) => void} go
 */
export function pager(cursor, next, go) {
  /** @param {string} text @param {string} to */
  const button = (text, to) => el("button", { type: "button", on: { click: () => go(to) } }, text);
  if (!cursor && !next) return null;
  return el("div", { class: "row" }, cursor ? button("Newest", "") : null, next ? button("Older", next) : null);
}

/** What went wrong, in words. @param {unknown} error */
export function words(error) { return error instanceof Error ? error.message : String(error); }

/** Wishes the page drawn anew. */
export function redraw() { document.dispatchEvent(new CustomEvent("kerb-redraw")); }

/** @param {string} text @param {string} label its accessible name @param {(event: any) => void} click */
export function button(text, label, click) {
  return el("button", { type: "button", "aria-label": label, on: { click } }, text);
}

/** @param {string} label @param {string[]} columns @param {any[][]} rows */
export function table(label, columns, rows) {
  return el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)))))));
}

/**
 * A dialog that stays open, with all that was typed, until what it sends was taken or it is closed.
 * @param {string} heading
 * @param {(Node|string|null)[]} fields
 * @param {string|null} word on the button that sends; null: it only shows
 * @param {() => Promise<string>} [send] what everybody is told when it is done; throws what is wrong
 * @param {boolean} [isWide]
 */
export function dialog(heading, fields, word, send, isWide = false) {
  const problem = el("p", { class: "problem", role: "alert" });
  const sender = word ? el("button", { type: "submit", class: "main" }, word) : null;
  const box = el("dialog", { class: isWide ? "wide" : null, "aria-label": heading, on: { close: () => box.remove() } },
    el("form", { on: { submit } }, el("h2", {}, heading), ...fields, sender ? problem : null,
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => box.close() } }, "Close"), sender)));
  document.body.append(box);
  box.showModal();
  return box;

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    if (!send) return;
    sender.disabled = true;
    problem.textContent = "";
    try {
      notice(await send());
      box.close();
      redraw();
    } catch (error) {
      problem.textContent = words(error);
    }
    sender.disabled = false;
  }
}

/** Says something to everybody, screen readers included. @param {string} text */
export function notice(text) {
  const place = document.getElementById("notice");
  if (place) place.textContent = text;
}

const classes = new Map([
  ["Available", "good"], ["Accepted", "good"], ["COMPLETED", "good"],
  ["Charging", "busy"], ["Preparing", "busy"], ["Finishing", "busy"], ["SuspendedEV", "busy"],
  ["SuspendedEVSE", "busy"], ["Reserved", "busy"], ["ACTIVE", "busy"], ["PENDING", "busy"],
  ["Faulted", "bad"], ["Unavailable", "bad"], ["Rejected", "bad"], ["INVALID", "bad"],
]);

/** @param {string} text */
export function state(text) {
  return el("span", { class: `state ${classes.get(text) ?? ""}` }, text);
}

/** @param {string|undefined} text */
export function time(text) {
  if (!text) return el("span", { class: "quiet" }, "–");
  return el("time", { datetime: text, title: text }, new Date(text).toLocaleString());
}

/** As a field for a time takes it: in this browser's zone, without a word of it. @param {string|undefined} text */
export function localTime(text) {
  if (!text) return "";
  const moment = new Date(text);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** This browser's, as the fields for times are in it. */
export function zone() { return Intl.DateTimeFormat().resolvedOptions().timeZone; }

/** @param {number|undefined} watts */
export function power(watts) {
  return watts === undefined ? "–" : `${(watts / 1000).toFixed(2)} kW`;
}

/** @param {number} wattHours */
export function energy(wattHours) {
  return `${(wattHours / 1000).toFixed(3)} kWh`;
}
