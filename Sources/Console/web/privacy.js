import { call } from "./api.js";
import { el, fill } from "./dom.js";

export const title = "Privacy";
/** @type {string[]} */
export const kinds = [];

/** Taking a person out of all rows: first what would happen, then for good. @param {Element} place @param {any} me */
export async function draw(place, me) {
  const heading = el("h1", {}, title);
  if (me.role !== "admin") {
    fill(place, heading, el("p", {}, "Only an admin may look for people or erase them."));
    return;
  }
  /** @type {Map<string, any>} */
  const fields = new Map([
    ["token", "Token (uid of a card or an app)"], ["party", "Its owner, as IN-KRB (else whoever)"],
    ["order", "Booking (its id)"], ["phone", "Phone, as bookings hold it"], ["email", "Mail, as bookings hold it"],
  ].map(([name, text]) => [name, {
    text, input: el("input", { name, maxlength: "255", autocomplete: "off", on: { input: reset } }),
  }]));
  const apply = el("button", { type: "button", disabled: true, on: { click: erase } }, "Erase for good");
  const found = el("div", { role: "status", "aria-live": "polite" });
  fill(place, heading,
    el("p", {}, "Takes a person out of charges, bookings, commands and logs. Bills stay, without him. Check first: a check changes nothing."),
    el("form", { class: "card", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); check(); } } },
      ...[...fields.values()].map((one) => el("label", {}, one.text, one.input)),
      el("div", { class: "row" }, el("button", { type: "submit", class: "main" }, "Check"),
        el("button", { type: "button", on: { click: report } }, "What is kept"), apply)),
    found);

  /** What was checked is somebody else now. */
  function reset() { apply.disabled = true; fill(found); }

  function who() {
    /** @type {Record<string, string>} */
    const body = {};
    for (const [name, one] of fields) if (one.input.value.trim()) body[name] = one.input.value.trim();
    return body;
  }

  async function check() {
    reset();
    const made = await send("/erasure", { ...who(), dryRun: true });
    if (!made) return;
    show(made);
    apply.disabled = made.items.length === 0 || Boolean(made.running);
  }

  async function erase() {
    if (!confirm("Erase for good? Nobody can take it back.")) return;
    apply.disabled = true;
    const made = await send("/erasure", { ...who(), dryRun: false });
    if (made) show(made);
  }

  async function report() {
    reset();
    const made = await send("/erasure/report", who());
    if (!made) return;
    fill(found, el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": "What is kept" },
      el("pre", {}, JSON.stringify(made, null, 2))));
  }

  /** @param {string} path @param {any} body */
  async function send(path, body) {
    try {
      return await call("POST", path, body);
    } catch (error) {
      fill(found, el("p", {}, error instanceof Error ? error.message : String(error)));
      return null;
    }
  }

  /** @param {any} made */
  function show(made) {
    const verb = made.dryRun ? "Would be erased" : "Erased";
    fill(found,
      made.running ? el("p", {}, `Session ${made.running} runs; stop it, and erase after its end.`) : null,
      made.items.length === 0 ? el("p", {}, "Nothing is kept of this person.")
        : el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": "Outcome" }, el("table", {},
          el("thead", {}, el("tr", {}, ...["Rows", verb, "There stay", "Not yet"].map((text) => el("th", { scope: "col" }, text)))),
          el("tbody", {}, ...made.items.map((/** @type {any} */ one) => {
            const held = one.held.reduce((/** @type {number} */ sum, /** @type {any} */ hold) => sum + hold.rows, 0);
            return el("tr", {}, el("td", {}, one.kind), el("td", {}, one.rows - held), el("td", {}, one.remains ?? "–"),
              el("td", {}, one.held.map((/** @type {any} */ hold) => `${hold.rows}: ${hold.about}`).join("; ") || "–"));
          })))),
      made.waiting ? el("p", {}, "What is not erased yet goes by itself when its reason has gone.") : null);
  }
}
