import { call } from "./api.js";
import { el, fill } from "./dom.js";

export const title = "Import";
/** @type {string[]} */
export const kinds = [];

const about = new Map([
  ["stations", "id, registration"],
  ["locations", "location_id, name, address, city, country, latitude, longitude, time_zone, evse_uid, evse_id, "
    + "station, station_connector, connector_id, standard, format, power_type, max_voltage, max_amperage, tariff_ids; "
    + "a line for every connector"],
  ["tokens", "uid, type, contract_id, visual_number, issuer, group_id, valid, whitelist, language, expires, max_charges"],
]);

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  const heading = el("h1", {}, title);
  if (me.role !== "admin") {
    fill(place, heading, el("p", {}, "Only an admin may import."));
    return;
  }
  const kind = el("select", { name: "kind", "aria-label": "What the table holds", on: { change: explain } },
    ...[...about.keys()].map((name) => el("option", { value: name }, name)));
  const file = el("input", { type: "file", name: "file", accept: ".csv,text/csv", required: true, on: { change: reset } });
  const columns = el("p", { class: "quiet" });
  const apply = el("button", { type: "button", disabled: true, on: { click: () => send(false) } }, "Import");
  const found = el("div", { role: "status", "aria-live": "polite" });
  fill(place, heading,
    el("p", {}, "A table in UTF-8 as spreadsheets save it (CSV). All of it is taken or nothing; a check changes nothing. "
      + "Who is there already keeps what the table has no column for."),
    el("form", { class: "card", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); send(true); } } },
      el("label", {}, "Table of", kind), columns,
      el("label", {}, "File", file),
      el("div", { class: "row" }, el("button", { type: "submit", class: "main" }, "Check"), apply)),
    found);
  explain();

  function explain() {
    columns.textContent = `Columns: ${about.get(kind.value)}`;
    reset();
  }

  /** What was checked is another file now. */
  function reset() { apply.disabled = true; fill(found); }

  /** @param {boolean} isDry */
  async function send(isDry) {
    apply.disabled = true;
    try {
      const made = await call("POST", `/import/${kind.value}?dryRun=${isDry}`, file.files[0]);
      fill(found, summary(made), table(["Line", "Id", "Outcome", "What differs"],
        made.items.map((/** @type {any} */ one) => [one.line, one.id, one.outcome, (one.fields ?? []).join(", ")])));
      apply.disabled = !isDry;
    } catch (error) {
      const problems = /** @type {any} */ (error).value?.problems ?? [];
      fill(found, el("p", {}, error instanceof Error ? error.message : String(error)),
        problems.length ? table(["Line", "Field", "What is wrong"],
          problems.map((/** @type {any} */ one) => [one.line, one.field ?? "–", one.detail])) : null);
    }
  }
}

/** @param {any} made */
function summary(made) {
  const verb = made.dryRun ? "would be " : "";
  return el("p", {},
    `${made.created} ${verb}created, ${made.changed} ${verb}changed, ${made.unchanged} ${verb}left as they are.`);
}

/** @param {string[]} columns @param {any[][]} rows */
function table(columns, rows) {
  return el("div", { class: "card scroll", tabindex: "0", role: "group", "aria-label": "Outcome" }, el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)))))));
}
