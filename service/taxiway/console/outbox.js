// Requests on their way. Each has an idempotency key, so that it may be sent until it is answered: after a lost
// connection, and after a reload, it is still one purchase.

import { post, Problem } from "./api.js";
import { h } from "./dom.js";
import { keep, kept } from "./memory.js";

// An older one is not sent again by itself: whoever asked has perhaps given up.
const AGE_MAX_MS = 10 * 60 * 1000;

export class Outbox {
  #waiting = new Map();

  // `sent(job)` is called with the job that a request has become, `again()` when the service was out of reach,
  // `refused(error)` when one that had to wait is not taken.
  constructor(list, { sent, again, refused }) {
    Object.assign(this, { list, sent, again, refused });
    for (const entry of kept("outbox") ?? []) if (Date.now() - entry.at < AGE_MAX_MS) this.#waiting.set(entry.key, entry);
    this.#show();
  }

  // Send a request. Raises the Problem that refuses it for good.
  async send(body) {
    const entry = { key: newKey(), body, at: Date.now() };
    this.#waiting.set(entry.key, entry);
    this.#keep();
    await this.#try(entry);
  }

  // Send what is still waiting.
  async flush() {
    for (const entry of this.#waiting.values()) await this.#try(entry).catch(this.refused);
  }

  async #try(entry) {
    if (entry.busy) return;
    entry.busy = true;
    try {
      const headers = { "Idempotency-Key": entry.key, Prefer: "respond-async" };
      const job = await post("v1/images/generations", entry.body, { headers });
      this.#forget(entry);
      this.sent(job);
    } catch (error) {
      if (error instanceof Problem && error.passing) return this.again();
      this.#forget(entry);
      throw error;
    } finally {
      entry.busy = false;
      this.#show();
    }
  }

  #forget(entry) {
    this.#waiting.delete(entry.key);
    this.#keep();
  }

  // Reference images may be too large to keep: then a reload loses what was never answered.
  #keep() {
    keep("outbox", [...this.#waiting.values()].map(({ key, body, at }) => ({ key, body, at })));
  }

  #show() {
    this.list.replaceChildren(
      ...[...this.#waiting.values()].map((entry) =>
        h("li", {},
          h("span", {}, h("b", {}, "Not sent yet: "), entry.body.prompt),
          h("button", { type: "button", class: "plain", onclick: () => { this.#forget(entry); this.#show(); } }, "Forget it"),
        ),
      ),
    );
  }
}

// `crypto.randomUUID` exists on https and localhost only; a console may be opened by plain http in a house.
function newKey() {
  return `console-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
