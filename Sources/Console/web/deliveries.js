import { call } from "./api.js";
import { el, notice, time } from "./dom.js";

/** What partners did not take; nothing where they took all. @param {any} me */
export async function section(me) {
  const page = await call("GET", "/deliveries?limit=100");
  if (!page.items.length) return null;
  const title = "Not taken by partners";
  const columns = ["Since", "Partner", "What", "About", "Amount", "Why", "Decision"];
  return el("section", {}, el("h2", {}, title),
    el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": title },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...page.items.map((/** @type {any} */ one) => row(one, me))))));
}

/** @param {any} one @param {any} me */
function row(one, me) {
  const about = `${one.kind} ${one.subject}`;
  return el("tr", { id: `delivery-${one.id}` },
    el("td", {}, time(one.at)),
    el("th", { scope: "row" }, one.partner ?? one.reader),
    el("td", {}, one.kind),
    el("td", {}, one.subject),
    el("td", { class: "number" }, one.cost ? `${one.cost.inclVAT ?? one.cost.exclVAT} ${one.cost.currency}` : "–"),
    el("td", {}, one.reason),
    el("td", {}, me.role === "viewer" ? "–" : el("div", { class: "row" },
      el("button", {
        type: "button", disabled: one.isAsked, "aria-label": `Try ${about} again`, on: { click: () => retry(one, about) },
      }, one.isAsked ? "Is tried" : "Try again"),
      el("button", { type: "button", "aria-label": `Dismiss ${about}`, on: { click: () => dismiss(one, about) } }, "Dismiss"))));
}

/** @param {any} one @param {string} about */
async function retry(one, about) {
  await send(one, "retry", undefined, `${about}: tried again`, about);
}

/** @param {any} one @param {string} about */
function dismiss(one, about) {
  const reason = el("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" });
  const heading = `Dismiss ${about}`;
  const dialog = el("dialog", { "aria-label": heading, on: { close: () => dialog.remove() } },
    el("form", { method: "dialog", on: { submit: () => send(one, "dismissal", { reason: reason.value }, `${heading}: done`, heading) } },
      el("h2", {}, heading),
      el("p", { class: "quiet" }, "The partner never gets it from here: settle it otherwise."),
      el("label", {}, "Reason", reason),
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        el("button", { type: "submit", class: "main" }, "Dismiss"))));
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {any} one @param {string} deed @param {any} body @param {string} done @param {string} about */
async function send(one, deed, body, done, about) {
  try {
    await call("POST", `/deliveries/${encodeURIComponent(one.id)}/${deed}`, body);
    notice(done);
  } catch (error) {
    notice(`${about}: ${error instanceof Error ? error.message : error}`);
  }
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}
