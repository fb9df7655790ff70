import { call } from "./api.js";
import { dialog, el, fill, notice, state, table, time } from "./dom.js";

export const title = "Firmware";
export const kinds = ["campaign.", "station.file"];

/** Campaigns whose stations are shown. @type {Set<string>} */
const open = new Set();

/** @param {Element} place @param {any} me */
export async function draw(place, me) {
  let images, campaigns;
  try {
    [images, campaigns] = await Promise.all([call("GET", "/firmware"), call("GET", "/campaigns?limit=50")]);
  } catch (error) {
    if (/** @type {any} */ (error).status !== 404) throw error;
    fill(place, el("h1", {}, title),
      el("p", {}, "No folder for files is configured: say ", el("code", {}, "files.folder"), "."));
    return;
  }
  const whole = new Map(await Promise.all([...open].map(async (id) =>
    /** @type {[string, any]} */ ([id, await call("GET", `/campaigns/${id}`).catch(() => null)]))));
  fill(place, el("h1", {}, title),
    me.role === "viewer" ? null : el("p", { class: "row" },
      el("button", { type: "button", on: { click: announce } }, "Upload an image"),
      el("button", { type: "button", on: { click: () => plan(images.items) } }, "Start a campaign")),
    el("h2", {}, "Campaigns"),
    campaigns.items.length ? null : el("p", {}, "None yet."),
    ...campaigns.items.map((/** @type {any} */ one) => campaign(one, whole.get(one.id), images.items, me)),
    el("h2", {}, "Images"),
    images.items.length ? table("Images", ["Name", "For", "Version", "Size", "SHA-256", "Since", "Action"],
      images.items.map((/** @type {any} */ one) => [one.name, maker(one), one.version ?? "–", size(one.size),
        el("code", {}, one.sha256 ? one.sha256.slice(0, 12) : "not here yet"), time(one.storedAt),
        me.role === "viewer" ? "" : el("button", {
          type: "button", "aria-label": `Delete ${one.name}`, on: { click: () => remove(one) },
        }, "Delete")])) : el("p", {}, "None yet."));
}

/** @param {any} one */
function maker(one) { return [one.vendor, one.model].filter(Boolean).join(" ") || "any"; }

/** @param {number|undefined} bytes */
export function size(bytes) {
  return bytes === undefined ? "–" : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {any} one @param {any} whole @param {any[]} images @param {any} me */
function campaign(one, whole, images, me) {
  const image = images.find((/** @type {any} */ other) => other.id === one.image);
  const acts = me.role === "viewer" ? []
    : one.state === "running" ? ["pause", "cancel"]
      : one.state === "paused" ? ["resume", "cancel", "rollback"] : ["rollback"];
  const counts = Object.entries(one.counts ?? {}).sort().map(([name, count]) => `${count} ${name}`).join(", ");
  return el("section", { class: "card", "aria-label": `Campaign ${one.name}` },
    el("div", { class: "head" },
      el("h3", {}, one.name), state(one.state),
      el("span", { class: "quiet" }, one.reason ?? ""),
      el("span", { class: "quiet" }, `${image ? image.name : "an image that is gone"}, ${counts}`),
      el("button", { type: "button", "aria-expanded": String(open.has(one.id)), "aria-label": `Stations of ${one.name}`, on: { click: () => toggle(one.id) } },
        open.has(one.id) ? "Hide stations" : "Stations"),
      ...acts.map((act) => el("button", {
        type: "button", "aria-label": `${words[act]} ${one.name}`,
        on: { click: () => act === "rollback" ? takeBack(one, images) : change(one, act) },
      }, words[act]))),
    whole ? table(`Stations of ${one.name}`, ["Station", "Wave", "State", "Tries", "Before", "Since", "Note", "Action"],
      whole.stations.map((/** @type {any} */ row) => [row.station, row.wave, row.state, row.tries,
        row.formerFirmware ?? "–", time(row.waitsSince ?? row.changedAt),
        [row.note, waits[/** @type {keyof typeof waits} */ (row.waitsFor)],
          row.retryAt ? `again ${new Date(row.retryAt).toLocaleTimeString()}` : ""].filter(Boolean).join("; "),
        me.role === "viewer" || row.state !== "waiting" || acts.length < 2 ? "" : el("button", {
          type: "button", "aria-label": `Skip ${row.station} in ${one.name}`, on: { click: () => skip(one, row) },
        }, "Skip")])) : null);
}

/** @type {Record<string, string>} */
const words = { pause: "Pause", resume: "Resume", cancel: "Cancel", rollback: "Roll back" };

/** Why a station is not sent the image now. */
const waits = {
  earlierWave: "an earlier wave is not done", paused: "the campaign is paused", away: "it is away",
  charging: "it is in use", retry: "it rests after a failed try", otherCampaign: "another campaign is not done with it",
};

/** @param {any} one @param {any} row */
async function skip(one, row) {
  if (!confirm(`Go on without ${row.station}?`)) return;
  await tried(`${one.name}: ${row.station} left out`, () =>
    call("POST", `/campaigns/${one.id}/skip`, { station: row.station }));
}

/** @param {string} id */
function toggle(id) {
  if (!open.delete(id)) open.add(id);
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}

/** @param {any} one @param {string} act */
async function change(one, act) {
  await tried(`${one.name}: ${act}`, () => call("POST", `/campaigns/${one.id}/${act}`));
}

/** What they ran before may never have been uploaded: then a person names the image. @param {any} one @param {any[]} images */
function takeBack(one, images) {
  const image = el("select", { name: "image" }, el("option", { value: "" }, "the one whose version they ran before"),
    ...images.filter((other) => other.complete && other.id !== one.image).map(choice));
  const anyModel = el("input", { type: "checkbox", name: "anyModel" });
  dialog(`Roll back ${one.name}`, [
    el("p", {}, `Every station that ${one.name} changed is sent the image; one that is not here is uploaded first.`),
    el("label", {}, "Image", image), el("label", {}, anyModel, " Also where its label names another vendor or model"),
  ], "Roll back", async () => {
    /** @type {Record<string, unknown>} */
    const body = {};
    if (image.value) body.image = image.value;
    if (anyModel.checked) body.anyModel = true;
    const made = await call("POST", `/campaigns/${one.id}/rollback`, body);
    return `${made.name}: ${made.stations.length} stations`;
  });
}

/** @param {any} one */
function choice(one) { return el("option", { value: one.id }, `${one.name} ${one.version ?? ""} (${maker(one)})`); }

/** @param {any} one */
async function remove(one) {
  if (!confirm(`Delete ${one.name}?`)) return;
  await tried(`${one.name}: deleted`, () => call("DELETE", `/files/${one.id}`));
}

/** @param {string} done @param {() => Promise<any>} act */
async function tried(done, act) {
  try {
    await act();
    notice(done);
  } catch (error) {
    notice(`${done}: ${error instanceof Error ? error.message : error}`);
  }
  document.dispatchEvent(new CustomEvent("kerb-redraw"));
}

/** @param {string} name @param {any} [more] */
function input(name, more = {}) { return el("input", { name, autocomplete: "off", maxlength: 50, ...more }); }

/** The label first, then the bytes, to the address that the answer names. */
function announce() {
  const file = el("input", { type: "file", name: "file", required: true });
  const [vendor, model, version] = [input("vendor"), input("model"), input("version")];
  const certificate = el("textarea", { name: "certificate", rows: 3 });
  const signature = el("textarea", { name: "signature", rows: 2 });
  dialog("Upload an image", [
    el("label", {}, "File", file),
    el("label", {}, "Vendor, as its stations tell it", vendor), el("label", {}, "Model", model),
    el("label", {}, "Version that they tell once they run it", version),
    el("label", {}, "Certificate of who signed it (PEM), if anybody", certificate),
    el("label", {}, "Signature (base64)", signature),
  ], "Upload", async () => {
    const image = file.files[0];
    /** @type {Record<string, string>} */
    const label = { name: image.name.slice(0, 100) };
    for (const one of [vendor, model, version, certificate, signature]) {
      if (one.value.trim()) label[one.name] = one.value.trim();
    }
    const made = await call("POST", "/firmware", label);
    const sent = await fetch(made.upload.path, { method: "PUT", body: image, credentials: "omit" });
    const told = await sent.json().catch(() => ({}));
    if (!sent.ok) throw new Error(told.detail ?? told.title ?? `status ${sent.status}`);
    return `${image.name}: here, SHA-256 ${told.sha256}`;
  });
}

/** @param {any[]} images */
function plan(images) {
  const image = el("select", { name: "image", required: true },
    ...images.filter((one) => one.complete).map(choice));
  const [name, stations] = [input("name", { required: true, maxlength: 100 }), el("textarea", { name: "stations", rows: 2 })];
  const [vendor, model, firmware, location] = ["vendor", "model", "firmware", "location"].map((key) => input(key));
  const waves = input("waves", { value: "1, 5, 25", required: true });
  const failures = input("pauseAfterFailures", { value: "1", inputmode: "numeric", required: true });
  const hours = input("waitHours", { value: "168", inputmode: "numeric", required: true });
  dialog("Start a campaign", [
    el("label", {}, "Name", name), el("label", {}, "Image", image),
    el("label", {}, "Stations, one a line or parted by commas; left out: all that fit what follows. More than 50 at once: an admin's decision", stations),
    el("label", {}, "Vendor, if not the image's", vendor), el("label", {}, "Model, if not the image's", model),
    el("label", {}, "Version that they run now", firmware), el("label", {}, "Location id", location),
    el("label", {}, "Sizes of the waves; the last one is repeated", waves),
    el("label", {}, "Pause after so many failed stations", failures),
    el("label", {}, "Go on without a station that was away or in use for so many hours", hours),
  ], "Start", async () => {
    /** @type {Record<string, unknown>} */
    const body = {
      name: name.value, image: image.value, pauseAfterFailures: Number(failures.value),
      waitHours: Number(hours.value),
      waves: waves.value.split(",").map((/** @type {string} */ text) => Number(text)),
    };
    const ids = stations.value.split(/[\s,]+/).filter(Boolean);
    if (ids.length) body.stations = ids;
    for (const one of [vendor, model, firmware, location]) if (one.value) body[one.name] = one.value;
    const chosen = images.find((one) => one.id === image.value);
    if (!ids.length && !body.vendor && chosen?.vendor) body.vendor = chosen.vendor;
    const made = await call("POST", "/campaigns", body);
    return `${made.name}: ${made.stations.length} stations`;
  });
}
