// Many jobs on one connection. What is shown is never older than what was sent, whatever breaks in between:
// the stream resumes from the revisions the page has, and a page that was away reads the list first.

import { hasKey, post } from "./api.js";

const NAMES = ["queued", "in_progress", "progress", "completed", "failed", "cancelled"];

// One connection takes this many; older jobs beyond are seen when the list is read again.
const JOBS_MAX = 100;

export class Live {
  #source = null;
  #ids = new Set();
  #wanted = new Map();
  #opening = null;
  #timers = new Set();
  #fails = 0;
  #turn = 0;

  // `told(job)` is called with each job that is sent, `state(live)` when the connection comes and goes,
  // `lost()` when a connection could not be kept and the list should be read again.
  constructor({ told, state, lost }) {
    Object.assign(this, { told, state, lost });
  }

  // Follow these jobs: [id, revision], and no others.
  follow(jobs) {
    this.#wanted = new Map(jobs.slice(0, JOBS_MAX));
    if (!jobs.length) return this.close();
    // A job that has ended may stay on the connection: only a new one is worth another.
    const ids = [...this.#wanted.keys()];
    if (ids.every((id) => this.#ids.has(id))) return;
    this.#ids = new Set(ids);
    clearTimeout(this.#opening);
    // A few jobs that are asked for at a stroke become one connection.
    this.#opening = setTimeout(() => this.#open(), this.#source ? 60 : 0);
  }

  close() {
    this.#turn++;
    clearTimeout(this.#opening);
    this.#ids.clear();
    this.#end();
  }

  async #open() {
    const turn = ++this.#turn;
    const ids = [...this.#wanted.keys()];
    let token = null;
    if (hasKey()) {
      try {
        token = await post("v1/jobs/token", { ids });
      } catch {
        return turn === this.#turn && this.#retry();
      }
      if (turn !== this.#turn) return; // other jobs are wanted by now
    }
    this.#end();
    const seen = ids.map((id) => this.#wanted.get(id) ?? 0);
    const query = [`ids=${ids}`, `starting_after=${seen.join(".")}`];
    if (token) {
      query.push(`token=${token.token}`);
      // A new one in time; a clock that is wrong must not make this a storm.
      this.#later(Math.max(30, token.expires_at - Date.now() / 1000 - 30), () => this.#open());
    }
    this.#listen(new EventSource(`v1/jobs/events?${query.join("&")}`));
  }

  #listen(source) {
    this.#source = source;
    source.onopen = () => {
      this.#fails = 0;
      this.state(true);
    };
    source.onerror = () => {
      if (this.#source !== source) return;
      if (source.readyState === EventSource.CLOSED) return this.#retry();
      // A stream that ended in good order is back in a moment; only what lasts is worth a word.
      this.#later(1.5, () => source.readyState === EventSource.CONNECTING && this.state(false));
    };
    for (const name of NAMES) {
      source.addEventListener(`job.${name}`, (event) => this.told(JSON.parse(event.data)));
    }
  }

  #retry() {
    this.close();
    this.state(false);
    const pause_s = Math.min(10, 2 ** this.#fails++) * (0.5 + Math.random() / 2);
    this.#later(pause_s, () => this.lost());
  }

  #end() {
    this.#source?.close();
    this.#source = null;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #later(seconds, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, seconds * 1000);
    this.#timers.add(timer);
  }
}
