import { call } from "./api.js";
import { el, fill } from "./dom.js";

/** @param {Element} place @param {(me: any) => void} done */
export function show(place, done) {
  const problem = el("p", { class: "problem", role: "alert" });
  const button = el("button", { class: "main", type: "submit" }, "Log in");
  const form = el("form", { class: "stack", on: { submit } },
    el("h1", {}, "Kerb"),
    el("label", {}, "Name",
      el("input", { name: "user", autocomplete: "username", required: true, autofocus: true })),
    el("label", {}, "Password",
      el("input", { name: "password", type: "password", autocomplete: "current-password", required: true })),
    button, problem);
  fill(place, el("div", { class: "card narrow" }, form));
  form.querySelector("input").focus();

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    const values = new FormData(form);
    try {
      await call("POST", "/login", { user: values.get("user"), password: values.get("password") });
      done(await call("GET", "/me"));
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
      button.disabled = false;
    }
  }
}
