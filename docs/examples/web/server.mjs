// The server behind `index.html`. It keeps the key, asks for images, and hands the page an address for the events
// of one job: a token in it opens these events, nothing else, and not for long.
import { readFile } from "node:fs/promises";
import http from "node:http";

const taxiway = process.env.TAXIWAY_URL ?? "http://127.0.0.1:4000";
const key = process.env.TAXIWAY_KEY ?? "any";
const port = Number(process.env.PORT ?? 8080);

async function post(path, body, headers = {}) {
  const response = await fetch(taxiway + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const document = await response.json();
  if (!response.ok) throw new Error(document.error.message);
  return document;
}

async function ask(prompt) {
  const request = { model: "gen4_image", prompt, size: "1920x1080" };
  const job = await post("/v1/images/generations", request, { Prefer: "respond-async" });
  const token = await post(`/v1/jobs/${job.id}/token`, {});
  return { events: new URL(token.url, taxiway) };
}

async function read(request) {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  return text;
}

http
  .createServer(async (request, response) => {
    try {
      if (request.method === "POST" && request.url === "/images") {
        const answer = await ask(await read(request));
        response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
      } else if (request.url === "/") {
        const page = await readFile(new URL("index.html", import.meta.url));
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
      } else {
        response.writeHead(404).end();
      }
    } catch (error) {
      response.writeHead(502, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ error: error.message }));
    }
  })
  .listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
