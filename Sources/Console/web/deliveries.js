import { call } from "./api.js";
import { dialog, el, notice, redraw, time, words } from "./dom.js";

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
  try {
    await send(one, "retry");
    notice(`${about}: tried again`);
  } catch (error) {
    notice(`${about}: ${words(error)}`);
  }
  redraw();
}

/** @param {any} one @param {string} about */
function dismiss(one, about) {
  const reason = el("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" });
  dialog(`Dismiss ${about}`, [
    el("p", { class: "quiet" }, "The partner never gets it from here: settle it otherwise."),
    el("label", {}, "Reason", reason),
  ], "Dismiss", async () => {
    await send(one, "dismissal", { reason: reason.value });
    return `Dismiss ${about}: done`;
  });
}

/** @param {any} one @param {string} deed @param {any} [body] */
function send(one, deed, body) { return call("POST", `/deliveries/${encodeURIComponent(one.id)}/${deed}`, body); }
