import { call } from "./api.js";
import { el, fill, notice } from "./dom.js";

export const title = "Sites";
export const kinds = ["site.", "session.", "station.link", "resync", "poll"];

const path = "/console/sites";
const refreshMilliseconds = 2000;
let timer = 0;

const standings = new Map([
  ["governed", "good"], ["waiting", "busy"], ["refused", "bad"], ["offline", "bad"],
]);

const template = {
  timeZone: "UTC", volts: 230,
  nodes: [{ id: "main", name: "Main fuse", amperes: 63 }],
  connectors: [],
};

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const list = (await call("GET", "/sites")).items;
  const sites = await Promise.all(list.map((one) => call("GET", `/sites/${encodeURIComponent(one.id)}`)));
  fill(place, el("h1", {}, title),
    el("p", { class: "quiet" }, "Amperes per phase. Allotted is what stations confirmed; counted is what they may draw "
      + "at most: a silent station keeps its last limit, one that refuses counts with all its connector carries."),
    me.role === "admin" ? el("p", {}, el("button",
      { type: "button", on: { click: () => edit("", template) } }, "Add a site")) : null,
    sites.length ? null : el("p", {}, "No site shares its current yet."),
    ...sites.map((site) => card(site, me)));
  // What flows makes no events of its own.
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (location.pathname === path) document.dispatchEvent(new CustomEvent("kerb-redraw"));
  }, refreshMilliseconds);
}

/** @param {any} site @param {any} me */
function card(site, me) {
  const name = site.name ?? site.id;
  const columns = ["Fuse or connector", "Limit", "Allotted", "Counted", "Measured", "State", "Actions"];
  return el("section", { class: "card", "aria-label": `Site ${site.id}` },
    el("div", { class: "head" }, el("h2", {}, name), el("span", { class: "quiet" }, `${site.timeZone}, ${site.volts} V`),
      me.role === "admin" ? el("button", {
        type: "button", "aria-label": `Edit ${site.id}`, on: { click: () => edit(site.id, site) },
      }, "Edit") : null),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Fuses of ${site.id}` },
      el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, ...rows(site, me, null, 0)))));
}

/** A node, what hangs on it, and its connectors. @param {any} site @param {any} me @param {string|null} parent @param {number} depth */
function rows(site, me, parent, depth) {
  /** @type {any[]} */
  const made = [];
  for (const node of site.nodes) {
    if ((node.parent ?? null) !== parent) continue;
    made.push(nodeRow(site, node, me, depth), ...rows(site, me, node.id, depth + 1));
    for (const one of site.connectors) {
      if (one.node === node.id) made.push(connectorRow(site, one, me, depth + 1));
    }
  }
  return made;
}

/** @param {any} site @param {any} node @param {any} me @param {number} depth */
function nodeRow(site, node, me, depth) {
  const state = site.state?.nodes.find((/** @type {any} */ one) => one.id === node.id);
  const limits = site.limits.filter((/** @type {any} */ one) => one.node === node.id);
  const watts = state?.limitWatts === undefined ? "" : ` ${(state.limitWatts / 1000).toFixed(1)} kW`;
  return el("tr", {},
    el("th", { scope: "row", class: `depth${Math.min(depth, 6)}` }, node.name ?? node.id,
      ...limits.map((/** @type {any} */ one) => el("div", { class: "quiet" },
        `limited by ${one.source} until ${new Date(one.validTo).toLocaleString()}`))),
    el("td", { class: "number" }, phases(state?.limit) + watts),
    el("td", { class: "number" }, phases(state?.allotted)),
    el("td", { class: "number" }, phases(state?.counted)),
    el("td", { class: "number" }, phases(state?.measured)),
    el("td", {}, state?.over ? el("span", { class: "state bad" }, "more than it carries") : ""),
    el("td", {}, me.role === "viewer" ? "" : el("div", { class: "row" },
      el("button", {
        type: "button", "aria-label": `Limit ${node.id} of ${site.id}`, on: { click: () => limit(site, node) },
      }, "Limit"),
      limits.length ? el("button", {
        type: "button", "aria-label": `Lift the limit of ${node.id} of ${site.id}`,
        on: { click: () => act("DELETE", nodePath(site, node), undefined, `Limit of ${node.id}: lifted`) },
      }, "Lift") : null)));
}

/** @param {any} site @param {any} one @param {any} me @param {number} depth */
function connectorRow(site, one, me, depth) {
  const state = site.state?.connectors.find((/** @type {any} */ other) =>
    other.station === one.station && other.connector === one.connector);
  const standing = state?.standing ?? "waiting";
  return el("tr", {},
    el("th", { scope: "row", class: `depth${Math.min(depth, 6)}` }, `${one.station} / ${one.connector}`,
      el("span", { class: "quiet" }, ` ${one.wiring}`)),
    el("td", { class: "number" }, amperes(one.amperes)),
    el("td", { class: "number" }, amperes(state?.allottedAmperes)),
    el("td", { class: "number" }, amperes(state?.countedAmperes)),
    el("td", { class: "number" }, state?.measuredAmperes?.map(amperes).join(" / ") ?? "–"),
    el("td", {}, el("span", { class: `state ${standings.get(standing) ?? ""}` },
      state?.charging ? `${standing}, charging` : standing)),
    el("td", {}, me.role === "viewer" ? "" : el("div", { class: "row" }, el("button", {
      type: "button", "aria-label": `Compare the schedule of ${one.station} / ${one.connector}`,
      on: { click: () => compare(one) },
    }, "Compare"))));
}

/** What we expect of a connector beside what its station reports. @param {any} one */
async function compare(one) {
  const heading = `Schedule of ${one.station} / ${one.connector}`;
  notice(`${heading}: asking the station`);
  try {
    const found = await call("GET",
      `/stations/${encodeURIComponent(one.station)}/schedule?connector=${one.connector}&seconds=86400&wait=20`);
    const unit = found.expected.schedule.unit;
    const start = Date.parse(found.expected.start);
    const at = (/** @type {number} */ seconds) => new Date(start + seconds * 1000).toLocaleString();
    const said = found.differs === null ? `It reports none that can be compared: ${found.answer ?? "another unit"}`
      : found.differs ? "It reports something else:" : "It reports the same.";
    const dialog = el("dialog", { "aria-label": heading, on: { close: () => dialog.remove() } },
      el("form", { method: "dialog" }, el("h2", {}, heading),
        ...found.expected.schedule.periods.map((/** @type {any} */ period) =>
          el("p", {}, `Expected from ${at(period.start)}: ${period.limit} ${unit}`)),
        el("p", { class: found.differs ? "state bad" : "" }, said),
        ...(found.differences ?? []).map((/** @type {any} */ span) => el("p", {},
          `${at(span.from)} to ${at(span.until)}: expected ${span.expected ?? "none"}, reported ${span.reported ?? "none"} ${unit}`)),
        el("div", { class: "row" }, el("button", { type: "submit", class: "main" }, "Close"))));
    document.body.append(dialog);
    dialog.showModal();
    notice("");
  } catch (error) {
    notice(`${heading}: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {number|undefined} value */
function amperes(value) { return value === undefined ? "–" : value.toFixed(1); }

/** @param {any} value */
function phases(value) {
  return value ? [value.L1, value.L2, value.L3].map(amperes).join(" / ") : "–";
}

/** @param {any} site @param {any} node */
function nodePath(site, node) {
  return `/sites/${encodeURIComponent(site.id)}/nodes/${encodeURIComponent(node.id)}/limit`;
}

/** @param {any} site @param {any} node */
function limit(site, node) {
  const current = el("input", { name: "amperes", required: true, inputmode: "decimal", pattern: "[0-9]+([.][0-9]+)?" });
  const hours = el("input", { name: "hours", required: true, inputmode: "decimal", value: "1", pattern: "[0-9]+([.][0-9]+)?" });
  show(`Limit ${node.id} of ${site.id}`, "Limit", [
    el("label", {}, "Amperes per phase", current), el("label", {}, "Hours", hours),
  ], () => call("PUT", nodePath(site, node), {
    amperes: Number(current.value),
    validTo: new Date(Date.now() + Number(hours.value) * 3_600_000).toISOString(),
  }));
}

/** @param {string} id @param {any} site */
function edit(id, site) {
  const { id: _, state: __, limits: ___, ...tree } = site;
  const name = el("input", { name: "id", required: true, value: id, readonly: id !== "", maxlength: 36 });
  const text = el("textarea", { name: "tree", rows: 20, cols: 70, spellcheck: "false" }, JSON.stringify(tree, null, 2));
  show(id ? `Edit ${id}` : "Add a site", "Save", [
    el("label", {}, "Id", name), el("label", {}, "Fuses and connectors", text),
  ], () => {
    let body;
    try { body = JSON.parse(text.value); } catch (error) { throw new Error(`This is no JSON: ${error}`); }
    return call("PUT", `/sites/${encodeURIComponent(name.value)}`, body);
  });
}

/** A dialog that stays until the server has taken what it says. @param {string} heading @param {string} verb @param {any[]} fields @param {() => Promise<any>} send */
function show(heading, verb, fields, send) {
  const problem = el("p", { class: "problem", role: "alert" });
  const dialog = el("dialog", { "aria-label": heading, on: { close: () => dialog.remove() } },
    el("form", { on: { submit } },
      el("h2", {}, heading), ...fields, problem,
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        el("button", { type: "submit", class: "main" }, verb))));
  document.body.append(dialog);
  dialog.showModal();

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    try {
      await send();
      notice(`${heading}: done`);
      dialog.close();
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
    }
    document.dispatchEvent(new CustomEvent("kerb-redraw"));
  }
}

/** @param {string} method @param {string} where @param {unknown} body @param {string} done */
async function act(method, where, body, done) {
  try {
    await call(method, where, body);
    notice(done);
  } catch (error) {
    notice(error instanceof Error ? error.message : String(error));
  }
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}
