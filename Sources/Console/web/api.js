// The admin API: the only way from a page to the server.

let csrf = "";

/** @param {string} token */
export function setCSRF(token) { csrf = token; }

export class Problem extends Error {
  /** @param {number} status @param {string} title @param {string} [detail] @param {any} [value] the whole answer */
  constructor(status, title, detail, value) {
    super(detail ? `${title}: ${detail}` : title);
    this.status = status;
    this.value = value;
  }
}

/**
 * @param {string} method
 * @param {string} path below /api/v1
 * @param {unknown} [body] a file goes as the table it is, all else as JSON
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? "text/csv" : "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method, headers, credentials: "same-origin",
      body: body === undefined ? undefined : isFile ? body : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, "the server cannot be reached");
  }
  if (answer.status === 204) return null;
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  throw refused(answer.status, value, path);
}

/** What is thrown of an answer that is no yes; the log-in page is shown where the person is logged out. @param {number} status @param {any} value @param {string} path */
function refused(status, value, path) {
  if (status === 401 && path !== "/login" && path !== "/me") document.dispatchEvent(new CustomEvent("kerb-logged-out"));
  return new Problem(status, value.title ?? `status ${status}`, value.detail, value);
}

/** Lines of a table that are fetched at most; a browser holds them all. */
const mostLines = 100_000;

/** A whole list as a CSV table. @param {string} path with its query @returns {Promise<Blob>} */
export async function csv(path) {
  const pages = [];
  let cursor = "";
  do {
    if (pages.length * 500 >= mostLines) throw new Error(`more than ${mostLines} lines: choose a shorter time, or use kerb-cpo export`);
    const answer = await fetch(`/api/v1${path}&limit=500&cursor=${encodeURIComponent(cursor)}`,
      { headers: { Accept: "text/csv" }, credentials: "same-origin" });
    if (!answer.ok) throw refused(answer.status, await answer.json().catch(() => ({})), path);
    const text = await answer.text();
    // Every page has the header line.
    pages.push(pages.length ? text.slice(text.indexOf("\r\n") + 2) : text);
    cursor = answer.headers.get("X-Next-Cursor") ?? "";
  } while (cursor);
  return new Blob(pages, { type: "text/csv" });
}

/** Every item of a list, page by page. @param {string} path @param {number} [most] */
export async function all(path, most = 1000) {
  const items = [];
  let cursor = "";
  do {
    const join = path.includes("?") ? "&" : "?";
    const page = await call("GET", `${path}${join}limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    items.push(...page.items);
    cursor = page.next ?? "";
  } while (cursor && items.length < most);
  return items;
}
