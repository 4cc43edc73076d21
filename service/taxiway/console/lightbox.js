// One image, as large as the window allows, with all that is known of it.

import { imageAddress } from "./api.js";
import { downloadLink } from "./cards.js";
import { $, h } from "./dom.js";
import { ago, cost, duration, pixels } from "./words.js";

export class Lightbox {
  #images = [];
  #place = 0;

  constructor(dialog, { reuse }) {
    this.dialog = dialog;
    this.reuse = reuse;
    $("#close", dialog).addEventListener("click", () => dialog.close());
    $("#before", dialog).addEventListener("click", () => this.#go(-1));
    $("#after", dialog).addEventListener("click", () => this.#go(1));
    $("#again", dialog).addEventListener("click", () => {
      dialog.close();
      this.reuse(this.#images[this.#place].job);
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#go(-1);
      if (event.key === "ArrowRight") this.#go(1);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  // Show one of several images: [{job, image}].
  open(images, place) {
    this.#images = images;
    this.#place = place;
    this.#show();
    this.dialog.showModal();
  }

  #go(step) {
    const next = this.#place + step;
    if (next < 0 || next >= this.#images.length) return;
    this.#place = next;
    this.#show();
  }

  async #show() {
    const { job, image } = this.#images[this.#place];
    const facts = {
      Model: job.model,
      Size: pixels(image.size ?? job.size),
      Cost: cost(job),
      Time: duration(job.finished_at - job.created_at),
      Made: ago(job.finished_at),
    };
    $("#caption", this.dialog).textContent = job.prompt;
    $("#about", this.dialog).replaceChildren(
      ...Object.entries(facts).filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
    $("#save", this.dialog).replaceChildren(downloadLink(job, image));
    $("#before", this.dialog).disabled = this.#place === 0;
    $("#after", this.dialog).disabled = this.#place === this.#images.length - 1;
    const picture = $("#picture", this.dialog);
    picture.alt = job.prompt;
    picture.removeAttribute("src");
    const address = await imageAddress(job, image).catch(() => null);
    if (address && this.#images[this.#place].image === image) picture.src = address;
  }
}
