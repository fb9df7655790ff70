import { call } from "./api.js";
import { el, fill, notice, table, time } from "./dom.js";
import { size } from "./firmware.js";

/** A station's logs, settings and certificates. @param {string} id @param {any} me */
export async function open(id, me) {
  const path = `/stations/${encodeURIComponent(id)}`;
  const body = el("div", {});
  const dialog = el("dialog", { class: "wide", "aria-label": `Upkeep of ${id}`, on: { close: () => dialog.remove() } },
    el("h2", {}, `Upkeep of ${id}`), body,
    el("div", { class: "row" }, el("button", { type: "button", on: { click: () => dialog.close() } }, "Close"),
      el("button", { type: "button", on: { click: show } }, "Look again")));
  document.body.append(dialog);
  await show();
  dialog.showModal();

  async function show() {
    // What this operator does not have is left out.
    const [files, settings, certificates] = await Promise.all(
      ["files", "settings", "certificates"].map((name) => call("GET", `${path}/${name}`).catch(() => null)));
    fill(body,
      files ? el("h3", {}, "Logs") : null,
      files && me.role !== "viewer" ? el("p", { class: "row" },
        act("Diagnostics", () => call("POST", `${path}/logs`, {})),
        act("Security log", () => call("POST", `${path}/logs`, { kind: "SecurityLog" }))) : null,
      files ? logs(files.items) : null,
      settings?.template ? el("h3", {}, `Settings, as of template ${settings.template}`) : null,
      settings?.template && me.role !== "viewer" ? el("p", { class: "row" },
        act("Read again", () => call("POST", `${path}/settings/read`)),
        act("Send what differs", () => call("POST", `${path}/settings/apply`))) : null,
      settings?.template ? table(`Settings of ${id}`, ["Key", "Wanted", "Found", "State", "Its answer", "Read"],
        settings.settings.map((/** @type {any} */ one) => [one.key, one.wanted, one.found ?? "–",
          el("span", { class: `state ${one.state === "differs" ? "bad" : one.state === "same" ? "good" : ""}` }, one.state),
          one.answer ?? "–", time(one.readAt)])) : null,
      certificates?.items.length ? el("h3", {}, "Certificates") : null,
      certificates?.items.length ? table(`Certificates of ${id}`, ["Serial", "Name", "Made", "Until", "First used", "Ends", "Action"],
        certificates.items.map((/** @type {any} */ one) => [el("code", {}, one.serial), one.name, time(one.madeAt),
          time(one.notAfter), time(one.usedAt), one.endsAt ? el("span", {}, time(one.endsAt), ` ${one.reason}`) : "–",
          me.role === "viewer" || one.endsAt ? "" : act(`Revoke ${one.serial}`, async () => {
            if (confirm(`Revoke ${one.serial}? ${id} needs another way in then.`)) {
              await call("DELETE", `${path}/certificates/${one.fingerprint}`);
            }
          })])) : null);
  }

  /** @param {any[]} files */
  function logs(files) {
    return files.length ? table(`Logs of ${id}`, ["What", "Asked", "Came", "Size", "Action"],
      files.map((one) => [one.name, time(one.createdAt), time(one.storedAt), size(one.size),
        one.complete && me.role !== "viewer"
          ? el("a", { href: `/api/v1/files/${one.id}/content`, download: true, "aria-label": `Download ${one.name}` }, "Download") : ""]))
      : el("p", {}, "None yet.");
  }

  /** @param {string} name @param {() => Promise<any>} send */
  function act(name, send) {
    return el("button", { type: "button", on: { click: async () => {
      try {
        await send();
        notice(`${id}, ${name}: sent`);
      } catch (error) {
        notice(`${id}, ${name}: ${error instanceof Error ? error.message : error}`);
      }
      await show();
    } } }, name);
  }
}
