// A page of the API's description: everything on it is read from openapi.json, so it cannot say anything else.

import { $, h } from "./dom.js";

const spec = await (await fetch("openapi.json")).json();
const schemas = spec.components.schemas;
const METHODS = ["get", "post", "put", "patch", "delete"];

const nameOf = (ref) => ref.split("/").pop();
const link = (name) => h("a", { href: `#schema-${name}` }, name);
const code = (text) => h("code", {}, text);

// Backticks in a sentence are code.
const sentence = (text = "") => text.split("`").map((part, place) => (place % 2 ? code(part) : part));

function type(schema) {
  if (schema.$ref) return [link(nameOf(schema.$ref))];
  const inner = schema.anyOf ?? schema.oneOf;
  if (inner?.[0]?.const !== undefined) return [h("a", { href: "#codes" }, "one of the codes")];
  if (inner) return inner.flatMap((each, place) => [place ? " or " : "", ...type(each)]);
  if (schema.enum) return [schema.enum.map((word) => JSON.stringify(word)).join(", ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...type(schema.items ?? {})];
  const words = [].concat(schema.type ?? "anything").join(" or ");
  const { minimum, maximum } = schema;
  return [minimum !== undefined && maximum !== undefined ? `${words}, ${minimum} to ${maximum}` : words];
}

function table(heads, rows) {
  return h("div", { class: "scroll", tabindex: 0 },
    h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((cell) => h("td", {}, ...[].concat(cell))))))));
}

const fields = (schema) =>
  table(["Field", "Type", "Meaning"],
    Object.entries(schema.properties ?? {}).map(([name, field]) => [
      [code(name)], type(field), [...sentence(field.description), (schema.required ?? []).includes(name) ? "" : " Optional."],
    ]));

function curl(method, path, operation) {
  const lines = [`curl ${method === "post" ? "-X POST " : ""}${new URL(path.replace(/^\//, ""), new URL("./", location)).href.replaceAll("%7B", "{").replaceAll("%7D", "}")}`];
  if (operation.security?.length) lines.push("-H 'Authorization: Bearer KEY'");
  const body = operation.requestBody?.content["application/json"];
  if (body) {
    const name = nameOf(body.schema.$ref ?? "");
    const model = schemas.GenerationBody.properties.model.examples?.[0] ?? "MODEL";
    const example = name === "TokenBody" ? { ids: ["job_…"] } : { model, prompt: "A serene mountain landscape at sunset" };
    lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(example)}'`);
  }
  return h("pre", { tabindex: 0 }, lines.join(" \\\n  "));
}

function* contents(content = {}) {
  for (const [kind, { schema, "x-events": events }] of Object.entries(content)) {
    if (schema.$ref) yield [code(kind), ": ", link(nameOf(schema.$ref))];
    else yield [code(kind)];
    for (const [name, event] of Object.entries(events ?? {})) {
      yield ["event ", code(name), ": ", ...type(event.data), event.id ? `; its id is ${event.id}` : ""];
    }
  }
}

function response([status, given]) {
  const answer = given.$ref ? spec.components.responses[nameOf(given.$ref)] : given;
  const lines = [...contents(given.$ref ? {} : answer.content)];
  return [[code(status)], [...sentence(answer.description), ...lines.map((line) => h("div", {}, ...line))]];
}

function section(method, path, operation) {
  const id = operation.operationId;
  const parts = [
    h("h3", { id }, h("span", { class: `method ${method}` }, method.toUpperCase()), path),
    h("p", {}, ...sentence(`${operation.summary}.`)),
  ];
  if (operation.description) return h("section", { class: "operation" }, ...parts, h("p", { class: "lead" }, ...sentence(operation.description)));
  if (operation.parameters.length) {
    parts.push(h("h4", {}, "Parameters"), table(["Name", "In", "Meaning"], operation.parameters.map((each) => [[code(each.name)], [each.in], sentence(each.description)])));
  }
  if (operation.requestBody) {
    parts.push(h("h4", {}, "Body"), h("ul", {}, ...[...contents(operation.requestBody.content)].map((line) => h("li", {}, ...line))));
  }
  parts.push(h("h4", {}, "Answers"), table(["Status", "Meaning"], Object.entries(operation.responses).map(response)), curl(method, path, operation));
  return h("section", { class: "operation" }, ...parts);
}

function show() {
  const page = [];
  const list = [];
  const all = Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [method, path, item[method]]));
  for (const { name, description } of spec.tags) {
    page.push(h("h2", {}, name), h("p", { class: "lead" }, description));
    list.push(h("b", {}, name));
    for (const [method, path, operation] of all.filter(([, , each]) => each.tags[0] === name)) {
      page.push(section(method, path, operation));
      if (!operation.description) list.push(h("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`));
    }
  }
  page.push(h("h2", { id: "codes" }, "Codes of errors"), h("p", { class: "lead" }, "Every error is ", link("ErrorBody"), ", in OpenAI’s shape."),
    table(["Code", "Meaning"], schemas.Error.properties.code.oneOf.map((each) => [[code(each.const)], sentence(each.description)])));
  page.push(h("h2", { id: "schemas" }, "Shapes"));
  for (const [name, schema] of Object.entries(schemas)) {
    page.push(h("details", { id: `schema-${name}` }, h("summary", {}, name), h("p", { class: "lead" }, ...sentence(schema.description)), fields(schema)));
  }
  list.push(h("b", {}, "More"), h("a", { href: "#codes" }, "Codes of errors"), h("a", { href: "#schemas" }, "Shapes"));
  $("#api").replaceChildren(...page);
  $("#contents").replaceChildren(...list);
}

// A link to a shape opens it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
}

show();
reveal();
addEventListener("hashchange", reveal);
