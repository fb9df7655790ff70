// What happens now. One stream per browser, not per tab: with HTTP/1.1 a seventh stream would keep a
// seventh tab from loading. One tab leads and tells the others.

const channel = new BroadcastChannel("kerb-live");
/** @type {(event: {kind: string, subject: string}) => void} */
let hear = () => {};
/** @type {(isLive: boolean) => void} */
let told = () => {};
let started = false;

/**
 * @param {(event: {kind: string, subject: string}) => void} onEvent
 * @param {(isLive: boolean) => void} onState
 */
export function start(onEvent, onState) {
  hear = onEvent;
  told = onState;
  if (started) return;
  started = true;
  channel.addEventListener("message", (message) => {
    if ("live" in message.data) told(message.data.live);
    else hear(message.data);
  });
  // Locks need HTTPS or localhost; elsewhere every tab looks for itself.
  if (navigator.locks) navigator.locks.request("kerb-live", lead);
  else setInterval(() => hear({ kind: "poll", subject: "" }), 5000);
}

/** @param {{kind: string, subject: string}} event */
function pass(event) {
  hear(event);
  channel.postMessage(event);
}

/** @param {boolean} live */
function say(live) {
  told(live);
  channel.postMessage({ live });
}

function lead() {
  let after = "";
  let wait = 1000;
  const open = () => {
    const source = new EventSource(`/api/v1/events?after=${after}`);
    source.addEventListener("open", () => {
      wait = 1000;
      say(true);
      // Something may have happened while nobody listened.
      pass({ kind: "resync", subject: "" });
    });
    source.addEventListener("hello", (event) => { after = event.lastEventId; });
    source.addEventListener("message", (event) => {
      after = event.lastEventId;
      pass(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      say(false);
      // After a status other than 200 the browser never tries again by itself.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, wait + Math.random() * 1000);
      wait = Math.min(wait * 2, 30_000);
    });
  };
  open();
  // Held until this tab is closed; then another one leads.
  return new Promise(() => {});
}
