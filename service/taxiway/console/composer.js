// Asking for an image: what the chosen model can do, what it will cost, and the reference images.

import { post, Problem } from "./api.js";
import { $, h, icon, setText } from "./dom.js";
import { keep, kept } from "./memory.js";
import { money, pixels, trouble } from "./words.js";
import { load } from "./references.js";

const FIELDS = ["prompt", "model", "size", "n", "quality"];

export class Composer {
  #models = new Map();
  #references = [];
  #quoting = null;
  #wait = null;

  // `ask(body)` is called with a request's body; it may throw a Problem.
  constructor(form, ask) {
    this.form = form;
    this.ask = ask;
    this.field = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name]]));
    for (const name of FIELDS) this.field[name].addEventListener("input", () => this.#changed(name));
    this.field.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#takeFiles();
  }

  setModels(models) {
    const names = new Set(models.map((model) => model.id));
    this.#models = new Map(
      models
        // Every model is also offered under its vendor's name; once is enough to choose from.
        .filter(({ id }) => !(id.startsWith("runwayml/") && names.has(id.slice("runwayml/".length))))
        .map((model) => [model.id, model]),
    );
    this.field.model.replaceChildren(
      ...[...this.#models.values()].map((model) => {
        const usable = model.deployments.some(({ status }) => status !== "no_key");
        return h("option", { value: model.id }, usable ? model.id : `${model.id} (no key yet)`);
      }),
    );
    this.#restore();
  }

  // Take over what an earlier job asked for, or a mere prompt.
  fill({ prompt, model = "", size, n = 1 }) {
    this.field.prompt.value = prompt;
    const known = this.#models.has(model) ? model : model.replace("runwayml/", "");
    if (this.#models.has(known)) {
      this.field.model.value = known;
      this.#showModel(size);
    }
    this.field.n.value = n;
    this.#changed("prompt");
    this.field.prompt.focus();
    this.form.scrollIntoView({ block: "nearest" });
  }

  // Say what is wrong with a request that was sent later than it was made.
  say(error) {
    this.#complain(error);
  }

  get #model() {
    return this.#models.get(this.field.model.value);
  }

  #changed(name) {
    if (name === "model") this.#showModel();
    this.#complain(null);
    this.#grow();
    this.#keep();
    this.#quote();
  }

  #showModel(size = this.field.size.value) {
    const model = this.#model;
    if (!model) return;
    this.field.size.replaceChildren(...sizeOptions(model));
    choose(this.field.size, size);
    this.field.quality.replaceChildren(
      h("option", { value: "" }, "Auto"),
      ...model.qualities.filter((word) => word !== "auto").map((word) => h("option", { value: word }, word)),
    );
    this.field.quality.closest("label").hidden = !model.qualities.length;
    $("#attach", this.form).hidden = model.reference_images_max === 0;
    this.#showReferences();
  }

  #grow() {
    const prompt = this.field.prompt;
    const most = this.#model?.prompt_max_chars;
    setText($("#count", this.form), most && prompt.value.length > most * 0.8 ? `${prompt.value.length} of ${most}` : "");
    prompt.style.height = "auto";
    if (prompt.scrollHeight) prompt.style.height = `${prompt.scrollHeight + 2}px`;
  }

  // A reload loses nothing that was typed.
  #keep() {
    keep("draft", Object.fromEntries(FIELDS.map((name) => [name, this.field[name].value])));
  }

  #restore() {
    const draft = kept("draft") ?? {};
    this.field.prompt.value ||= draft.prompt ?? "";
    choose(this.field.model, draft.model);
    this.#showModel();
    for (const name of ["size", "n", "quality"]) choose(this.field[name], draft[name]);
    this.#grow();
    this.#quote();
  }

  #body() {
    const { prompt, model, size, n, quality } = this.field;
    const body = { model: model.value, prompt: prompt.value.trim(), n: Number(n.value) };
    if (size.value !== "auto") body.size = size.value;
    if (quality.value && !quality.closest("label").hidden) body.quality = quality.value;
    if (this.#references.length && this.#model?.reference_images_max !== 0) {
      body.reference_images = this.#references.map(({ uri, tag }) => (tag ? { uri, tag } : { uri }));
    }
    return body;
  }

  // The price depends on how many references there are, not on what they show.
  #quote() {
    clearTimeout(this.#wait);
    this.#wait = setTimeout(async () => {
      this.#quoting?.abort();
      this.#quoting = new AbortController();
      const body = this.#body();
      body.prompt ||= "…";
      if (body.reference_images) {
        body.reference_images = body.reference_images.map((each) => ({ ...each, uri: "https://reference.invalid/" }));
      }
      try {
        const { cost } = await post("v1/images/quote", body, { signal: this.#quoting.signal });
        this.#showPrice(cost);
      } catch (error) {
        if (!(error instanceof Problem)) return;
        this.#showPrice(null);
        if (error.status === 400) this.#complain(error);
      }
    }, 200);
  }

  #showPrice(cost) {
    const price = $("#price", this.form);
    const parts = [];
    if (cost && cost.usd !== null) {
      const credits = `${cost.credits} credit${cost.credits === 1 ? "" : "s"}`;
      parts.push(h("b", {}, money(cost.usd)), h("span", {}, credits));
    } else if (cost) {
      parts.push(h("span", {}, "Runway has not published a price"));
    }
    price.replaceChildren(...parts);
  }

  async #submit() {
    if (!this.field.prompt.value.trim()) {
      this.#complain({ param: "prompt", message: "Say what the image should show." });
      return this.field.prompt.focus();
    }
    const button = $("#ask", this.form);
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // a second click would buy a second image
    try {
      await this.ask(this.#body());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#complain(error);
    } finally {
      setTimeout(() => (button.ariaDisabled = "false"), 400);
    }
  }

  #complain(error) {
    const place = $("#complaint", this.form);
    for (const field of Object.values(this.field)) field.removeAttribute("aria-invalid");
    if (!error) return place.replaceChildren();
    const { what, todo } = trouble(error);
    place.replaceChildren(h("b", {}, what), todo && ` ${todo}`);
    this.field[error.param]?.setAttribute("aria-invalid", "true");
  }

  // Reference images

  #takeFiles() {
    const input = $("#files", this.form);
    $("#attach", this.form).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.#add(input.files);
      input.value = "";
    });
    const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    const mark = (change) => {
      depth = Math.max(0, depth + change);
      this.form.classList.toggle("over", depth > 0);
    };
    addEventListener("dragenter", (event) => carries(event) && mark(1));
    addEventListener("dragleave", (event) => carries(event) && mark(-1));
    addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      mark(0);
      this.#add(event.dataTransfer.files);
    });
    this.field.prompt.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) this.#add(event.clipboardData.files);
    });
  }

  async #add(files) {
    const most = this.#model?.reference_images_max ?? Infinity;
    this.#complain(null);
    for (const file of [...files]) {
      if (this.#references.length >= most) {
        const what = most ? `This model takes ${most} reference image${most === 1 ? "" : "s"} at most.` : "This model takes no reference images.";
        this.#complain({ message: what });
        break;
      }
      try {
        this.#references.push(await load(file));
      } catch (error) {
        this.#complain({ message: error.message });
      }
    }
    this.#showReferences();
    this.#quote();
  }

  #showReferences() {
    const list = $("#references", this.form);
    list.hidden = !this.#references.length || this.#model?.reference_images_max === 0;
    list.replaceChildren(
      ...this.#references.map((reference, place) => {
        const name = h("input", {
          value: reference.tag, placeholder: "name", maxlength: 16, spellcheck: "false", autocomplete: "off",
          "aria-label": `Name of reference ${place + 1}, to mention it in the prompt as @name`,
          oninput: () => (reference.tag = name.value.trim().toLowerCase()),
        });
        const remove = () => {
          this.#references.splice(place, 1);
          this.#showReferences();
          this.#quote();
          $("#attach", this.form).focus();
        };
        return h("li", {},
          h("img", { src: reference.uri, alt: `Reference ${place + 1}: ${reference.name}` }),
          h("button", { type: "button", class: "small", "aria-label": `Remove reference ${place + 1}`, onclick: remove }, icon("close")),
          name,
          reference.shrunk ? h("small", {}, "made smaller to fit") : null,
        );
      }),
    );
  }
}

function choose(field, value) {
  if ([...field.options].some((option) => option.value === value)) field.value = value;
}

function sizeOptions(model) {
  const groups = new Map([["Wide", []], ["Square", []], ["Tall", []], ["Other", []]]);
  const options = [];
  for (const { size, cost_usd } of model.sizes) {
    const price = cost_usd === null ? "" : `  ·  ${money(cost_usd)}`;
    if (size === "auto") {
      const made = model.default_size ? ` (${pixels(model.default_size)})` : "";
      options.push(h("option", { value: size }, `Auto${made}${price}`));
      continue;
    }
    const [width, height] = size.split("x").map(Number);
    const group = !height ? "Other" : width > height ? "Wide" : width < height ? "Tall" : "Square";
    groups.get(group).push([width * height || 0, h("option", { value: size }, `${pixels(size)}${price}`)]);
  }
  if (!options.length) options.push(h("option", { value: "auto" }, "Auto"));
  for (const [label, sizes] of groups) {
    if (!sizes.length) continue;
    sizes.sort(([one], [two]) => one - two);
    options.push(h("optgroup", { label }, ...sizes.map(([, option]) => option)));
  }
  return options;
}
