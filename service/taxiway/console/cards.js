// A job as a card: on its way, with its images, or with what went wrong.

import { fileName, hasKey, imageAddress } from "./api.js";
import { h, icon, setText } from "./dom.js";
import { ago, charged, cost, duration, phaseOf, pixels, remaining, trouble } from "./words.js";

export const FINAL = ["completed", "failed", "cancelled"];

// A picture is fetched when it comes near the part of the page that is seen.
const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      target.dispatchEvent(new Event("near"));
    }
  },
  { rootMargin: "400px" },
);

export class Card {
  #shape = "";

  // `on` is what the buttons do: cancel(job), reuse(job), open(job, image).
  constructor(job, on) {
    this.on = on;
    this.media = h("div", { class: "media" });
    this.prompt = h("p", { class: "prompt", title: job.prompt }, job.prompt);
    this.facts = h("p", { class: "facts" });
    this.acts = h("div", { class: "acts" });
    this.element = h("li", { class: "card", "data-id": job.id },
      this.media, h("div", { class: "foot" }, this.prompt, h("div", { class: "row" }, this.facts, this.acts)));
    this.update(job);
  }

  update(job) {
    this.job = job;
    this.element.dataset.status = job.status;
    // What is on the card changes with the status; within one, only figures move.
    const shape = `${job.status} ${job.images.length}`;
    if (shape !== this.#shape) {
      this.#shape = shape;
      const focused = this.acts.contains(document.activeElement);
      this.#rebuild();
      if (focused) this.acts.firstElementChild?.focus();
    }
    this.move?.();
    this.tick();
  }

  // Dates grow older without any news.
  tick() {
    const { job } = this;
    const parts = [pixels(job.images[0]?.size ?? job.size), cost(job)];
    if (job.n > 1) parts.unshift(`${job.n} images`);
    if (job.status === "completed") parts.push(duration(job.finished_at - job.created_at));
    if (FINAL.includes(job.status)) parts.push(ago(job.finished_at));
    // A line may end between two facts, and not within one.
    setText(this.facts, parts.filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0")).join("  ·  "));
  }

  #rebuild() {
    const { job, on } = this;
    const button = (name, label, action) =>
      h("button", { type: "button", class: "small", "aria-label": `${label}: ${job.prompt}`, title: label, onclick: action }, icon(name));
    this.move = null;
    if (job.status === "completed") {
      this.media.replaceChildren(...job.images.map((image) => this.#picture(image)));
      this.media.dataset.count = Math.min(4, job.images.length);
      this.acts.replaceChildren(
        button("again", "Use this prompt again", () => on.reuse(this.job)),
        ...job.images.slice(0, 1).map((image) => downloadLink(job, image)),
      );
    } else if (FINAL.includes(job.status)) {
      this.media.replaceChildren(this.#ending());
      this.acts.replaceChildren(button("again", "Use this prompt again", () => on.reuse(this.job)));
    } else {
      this.media.replaceChildren(...this.#waiting());
      this.stop = h("button", { type: "button", class: "plain", "aria-label": `Cancel: ${job.prompt}`, onclick: () => this.job.stopping || on.cancel(this.job) }, "Cancel");
      this.acts.replaceChildren(this.stop);
    }
  }

  #waiting() {
    const percent = h("strong", {});
    const phase = h("span", {});
    const left = h("span", { class: "left" });
    const fill = h("i", {});
    const bar = h("div", { class: "bar", role: "progressbar", "aria-label": `Progress: ${this.job.prompt.slice(0, 80)}`,
      "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
    this.move = () => {
      const { job } = this;
      setText(percent, job.progress ? `${job.progress} %` : "");
      setText(phase, phaseOf(job));
      setText(left, remaining(job));
      bar.setAttribute("aria-valuenow", job.progress);
      bar.setAttribute("aria-valuetext", `${job.progress} %, ${phaseOf(job)}`);
      bar.classList.toggle("idle", !job.progress);
      fill.style.transform = `scaleX(${job.progress / 100})`;
      // Not `disabled`: a browser takes the keyboard away from a button that is.
      this.stop.setAttribute("aria-disabled", Boolean(job.stopping));
    };
    return [h("div", { class: "wait" }, percent, h("p", {}, phase, left)), bar];
  }

  #ending() {
    const { job } = this;
    if (job.status === "cancelled") return h("div", { class: "ending" }, h("b", {}, "Cancelled"));
    const { what, todo, detail } = trouble(job.error ?? {});
    return h("div", { class: "ending bad" }, h("b", {}, what), detail && h("p", {}, detail), h("p", {}, todo), charged(job) && h("p", {}, charged(job)));
  }

  #picture(image) {
    const { job } = this;
    const [width, height] = (image.size ?? job.size ?? "16x9").split("x").map(Number);
    const picture = h("img", { alt: job.prompt, decoding: "async" });
    const shot = h("button", { type: "button", class: "shot", onclick: () => this.on.open(this.job, image),
      "aria-label": `Look at image ${image.index + 1} of ${job.images.length}: ${job.prompt}` }, picture);
    // A picture that would lose much at its edges is shown whole, on a blurred one of itself.
    const ground = job.images.length === 1 && width / height < 1.4 ? h("img", { alt: "", class: "ground", "aria-hidden": "true" }) : null;
    if (ground) shot.prepend(ground);
    picture.addEventListener("load", () => shot.classList.add("there"));
    picture.addEventListener("error", () => shot.replaceChildren(h("span", {}, "The image is not kept any more.")));
    shot.addEventListener("near", async () => {
      const address = await imageAddress(job, image).catch(() => null);
      if (!address) return picture.dispatchEvent(new Event("error"));
      picture.src = address;
      if (ground) ground.src = address;
    });
    near.observe(shot);
    return shot;
  }
}

export function downloadLink(job, image) {
  const link = h("a", { class: "small", href: `v1/jobs/${job.id}/images/${image.index}`, download: fileName(job, image),
    "aria-label": `Download: ${job.prompt}`, title: "Download" }, icon("download"));
  link.addEventListener("click", async (event) => {
    if (!hasKey() || link.href.startsWith("blob:")) return;
    event.preventDefault();
    link.href = await imageAddress(job, image);
    link.click();
  });
  return link;
}
