import { call } from "./api.js";
import { el, fill, notice, time } from "./dom.js";

/** What a station proves itself by, and what is overlooked for it. @param {string} id @param {any} me */
export async function open(id, me) {
  const path = `/stations/${encodeURIComponent(id)}`;
  let station;
  try {
    station = await call("GET", path);
  } catch (error) {
    notice(error instanceof Error ? error.message : String(error));
    return;
  }
  const access = station.access ?? {};
  const strict = checkbox("strict", access.strict);
  const anyUser = checkbox("anyUser", access.anyUser);
  const noSubprotocol = checkbox("noSubprotocol", access.noSubprotocol);
  const lower = checkbox("lower", false);
  const zone = el("input", { name: "timeZone", maxlength: 64, autocomplete: "off", value: access.timeZone ?? "" });
  const profile = el("select", { name: "securityProfile" },
    ...[["", "the operator's lowest, or better"], ["0", "0: none"], ["1", "1: password"],
      ["2", "2: password over TLS"], ["3", "3: client certificate"]]
      .map(([value, text]) => el("option", { value }, text)));
  profile.value = String(access.securityProfile ?? "");
  const name = el("input", { name: "certificateName", maxlength: 128, autocomplete: "off", value: access.certificateName ?? "" });
  const password = el("input", { name: "password", type: "password", autocomplete: "new-password" });
  const hours = el("input", { name: "overlapHours", inputmode: "numeric", pattern: "[0-9]+", value: "24" });
  const answer = el("p", { role: "status" });
  const dialog = el("dialog", { "aria-label": `Access of ${id}`, on: { close: () => dialog.remove() } },
    el("form", { on: { submit } },
      el("h2", {}, `Access of ${id}`),
      el("p", { class: "quiet" }, access.hasPassword ? "It has a password." : "It has no password yet.",
        access.oldPasswordUntil ? el("span", {}, " The old one counts until ", time(access.oldPasswordUntil), ".") : null,
        access.provenProfile !== undefined && access.securityProfile === undefined
          ? ` It came by profile ${access.provenProfile} and comes by nothing weaker.` : null,
        station.clockSkewMilliseconds === undefined ? null
          : clock(station.clockSkewMilliseconds / 1000)),
      el("label", {}, strict, " Answer what departs from the specification with an error"),
      el("label", {}, anyUser, " Take a user name that is not its id"),
      el("label", {}, noSubprotocol, " Take a connection that names no version, as OCPP 1.6"),
      el("label", {}, "Zone of its clock, for times without one (Asia/Kolkata)", zone),
      el("label", {}, "Security profile", profile),
      me.role === "admin" ? el("label", {}, lower, " A weaker profile than before is meant") : null,
      el("label", {}, "Common name of its certificate, if not its id", name),
      el("label", {}, "New password, 16 to 40 characters", password),
      el("label", {}, "Hours for which the old password and profile count too", hours),
      list(station, path, me),
      deviations(station.deviations ?? []),
      answer,
      el("div", { class: "row" },
        el("button", { type: "button", on: { click: () => dialog.close() } }, "Close"),
        me.role === "viewer" ? null : el("button", { type: "submit", class: "main" }, "Change"))));
  document.body.append(dialog);
  dialog.showModal();

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    /** @type {Record<string, unknown>} */
    const body = { overlapHours: Number(hours.value) };
    for (const [key, box] of Object.entries({ strict, anyUser, noSubprotocol })) {
      if (box.checked !== (access[key] === true)) body[key] = box.checked;
    }
    if (zone.value !== (access.timeZone ?? "")) body.timeZone = zone.value || null;
    if (lower.checked) body.lower = true;
    if (lower.checked || profile.value !== String(access.securityProfile ?? "")) {
      body.securityProfile = profile.value === "" ? null : Number(profile.value);
    }
    if (name.value !== (access.certificateName ?? "")) body.certificateName = name.value || null;
    if (password.value) body.password = password.value;
    try {
      await call("PUT", `${path}/access`, body);
      notice(`Access of ${id}: changed`);
      dialog.close();
    } catch (error) {
      fill(answer, error instanceof Error ? error.message : String(error));
    }
  }
}

/** Seconds ahead of which its times are not believed. */
const mostAhead = 300;

/** @param {number} seconds its clock is ahead of ours */
function clock(seconds) {
  const off = Math.abs(seconds);
  if (off < 1) return " Its clock agrees with ours to a second.";
  const [size, unit] = off < 120 ? [1, "s"] : off < 7200 ? [60, "minutes"] : off < 172_800 ? [3600, "hours"] : [86_400, "days"];
  return ` Its clock is ${(off / Number(size)).toFixed(size === 1 ? 1 : 0)} ${unit} ${seconds < 0 ? "behind" : "ahead of"} ours`
    + `${seconds > mostAhead ? ", or one of its times was; times so far ahead are replaced by ours" : ""}.`;
}

/** @param {string} name @param {unknown} value */
function checkbox(name, value) {
  const box = el("input", { type: "checkbox", name });
  box.checked = value === true;
  return box;
}

/** @param {any[]} found */
function deviations(found) {
  if (!found.length) return el("p", { class: "quiet" }, "It keeps to the specification.");
  return el("p", { class: "quiet" }, "Departs from the specification: ",
    found.map((one) => `${one.kind} (${one.times})`).join(", "));
}

/**
 * Whether the station's local list is kept, and why it is not in step.
 * @param {any} station @param {string} path @param {any} me
 */
function list(station, path, me) {
  const known = station.localList;
  if (!known) return null;
  const kept = el("select", { name: "localList", disabled: me.role === "viewer", on: { change } },
    ...[["", "as the configuration says"], ["true", "kept in step"], ["false", "left alone"]]
      .map(([value, text]) => el("option", { value }, text)));
  kept.value = known.kept === null || known.kept === undefined ? "" : String(known.kept);
  return el("div", {},
    el("label", {}, "Local list of tokens", kept),
    known.detail ? el("p", { class: "quiet" }, `Not in step: ${known.detail}.`,
      known.nextTryAt ? el("span", {}, " Tried again ", time(known.nextTryAt), ".") : null) : null);

  async function change() {
    try {
      await call("PUT", `${path}/local-list`, { kept: kept.value === "" ? null : kept.value === "true" });
      notice(`Local list of ${station.id}: changed`);
    } catch (error) {
      notice(error instanceof Error ? error.message : String(error));
    }
  }
}
