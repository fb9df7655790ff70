import * as alerts from "./alerts.js";
import { call, setCSRF } from "./api.js";
import * as audit from "./audit.js";
import * as bills from "./bills.js";
import { el, fill, notice } from "./dom.js";
import * as firmware from "./firmware.js";
import * as imports from "./imports.js";
import * as live from "./live.js";
import * as login from "./login.js";
import * as messages from "./messages.js";
import * as onboarding from "./onboarding.js";
import * as privacy from "./privacy.js";
import * as review from "./review.js";
import * as sessions from "./sessions.js";
import * as sites from "./sites.js";
import * as stations from "./stations.js";
import * as tokens from "./tokens.js";
import * as templates from "./templates.js";

/** Pages by path. */
const pages = new Map([
  ["/console/", stations], ["/console/sessions", sessions], ["/console/bills", bills],
  ["/console/sites", sites], ["/console/review", review],
  ["/console/tokens", tokens], ["/console/alerts", alerts], ["/console/onboarding", onboarding], ["/console/messages", messages],
  ["/console/firmware", firmware], ["/console/settings", templates], ["/console/import", imports],
  ["/console/privacy", privacy], ["/console/audit", audit],
]);

/** @type {any} */
let me = null;
let drawing = false;
let again = false;

const main = el("main", {});
const banner = el("div", { class: "banner", role: "status", hidden: true },
  "The live stream is down; what you see may be old. Trying again.");
const nav = el("nav", { "aria-label": "Pages" });
const who = el("span", { class: "quiet" });
const logout = el("button", { type: "button", on: { click: leave } }, "Log out");
const header = el("header", {}, el("strong", {}, "Kerb"), nav, who, logout);
const told = el("div", { id: "notice", role: "status", "aria-live": "polite" });

function page() { return pages.get(location.pathname) ?? stations; }

/** Draws the page; a wish that comes meanwhile is met once, afterwards. */
async function draw() {
  if (!me) return;
  if (drawing) { again = true; return; }
  drawing = true;
  const shown = page();
  document.title = `${shown.title} · Kerb`;
  fill(nav, ...[...pages].filter(([, one]) => !("role" in one) || one.role === me.role).map(([path, one]) => el("a", {
    href: path, "aria-current": one === shown ? "page" : null, on: { click: go },
  }, one.title)));
  const fresh = el("div", {});
  try {
    await shown.draw(fresh, me);
    if (shown === page()) swap(fresh);
  } catch (error) {
    notice(error instanceof Error ? error.message : String(error));
  }
  drawing = false;
  if (!again) return;
  again = false;
  // Another page by now: at once. Else an event's wish, which dies with the page it was for: what is
  // typed into the next one must stay.
  if (page() !== shown) draw(); else setTimeout(() => { if (page() === shown) draw(); }, 300);
}

/** Puts the new page in and gives the focus back to what had it. @param {Element} fresh */
function swap(fresh) {
  const focused = document.activeElement?.getAttribute("aria-label");
  fill(main, ...fresh.childNodes);
  if (!focused) return;
  for (const one of main.querySelectorAll("[aria-label]")) {
    if (one.getAttribute("aria-label") === focused) { one.focus(); break; }
  }
}

/** @param {MouseEvent} event */
function go(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", /** @type {any} */ (event.currentTarget).href);
  draw();
}

async function leave() {
  await call("POST", "/logout").catch(() => null);
  location.assign("/console/");
}

/** @param {any} found */
function enter(found) {
  me = found;
  setCSRF(me.csrf ?? "");
  who.textContent = `${me.user} · ${me.role} · ${me.operator}`;
  fill(document.body, header, banner, main, told);
  live.start((event) => {
    if (page().kinds.some((kind) => event.kind.startsWith(kind))) draw();
  }, (isLive) => { banner.hidden = isLive; });
  draw();
}

function askToLogIn() {
  me = null;
  document.title = "Log in · Kerb";
  const place = el("main", {});
  fill(document.body, place);
  login.show(place, enter);
}

addEventListener("popstate", draw);
document.addEventListener("kerb-redraw", draw);
document.addEventListener("kerb-logged-out", askToLogIn);

call("GET", "/me").then(enter, askToLogIn);
