// The console: the state of everything is the service's list of jobs; this page only shows it.

import { call, get, hasKey, post, Problem, setKey } from "./api.js";
import { Card, FINAL } from "./cards.js";
import { Composer } from "./composer.js";
import { $, announce, h, setText } from "./dom.js";
import { Lightbox } from "./lightbox.js";
import { Live } from "./live.js";
import { Outbox } from "./outbox.js";
import { money, trouble } from "./words.js";

const PAGE = 24;

// Jobs that others ask for are seen at the latest after this.
const REFRESH_S = 20;

const jobs = new Map();
const cards = new Map();
const today = new Map();
let oldest = null;
let alone = false;
let next = null;

const feed = $("#feed");
const live = new Live({ told: take, state: (here) => connection(here), lost: () => refresh() });
const outbox = new Outbox($("#outbox"), { sent, again: () => connection(false), refused: (error) => composer.say(error) });
const composer = new Composer($("#composer"), (body) => outbox.send(body));
const lightbox = new Lightbox($("#lightbox"), { reuse: (job) => composer.fill(job) });

// Jobs

function sent(job) {
  announce(`On its way: ${job.prompt.slice(0, 80)}`);
  take(job);
}

function take(job) {
  const known = jobs.get(job.id);
  const stale = known && (job.revision < known.revision || (job.revision === known.revision && job.progress < known.progress));
  if (stale || (known && FINAL.includes(known.status))) return;
  if (known?.stopping && !FINAL.includes(job.status)) job.stopping = true;
  jobs.set(job.id, job);
  spend(job);
  if (cards.has(job.id)) cards.get(job.id).update(job);
  else place(new Card(job, { cancel, reuse: (old) => composer.fill(old), open }));
  if (known && FINAL.includes(job.status)) tellEnd(job);
  follow();
}

// Ids begin with the date: newest first is the order of the list, and of the feed.
function place(card) {
  const { id } = card.job;
  cards.set(id, card);
  const behind = [...feed.children].find((other) => other.dataset.id < id) ?? null;
  feed.insertBefore(card.element, behind);
  $("#empty").hidden = true;
}

function follow() {
  const moving = [...jobs.values()].filter((job) => !FINAL.includes(job.status)).sort((a, b) => (a.id < b.id ? 1 : -1));
  live.follow(moving.map((job) => [job.id, job.revision]));
  document.title = moving.length ? `${moving.length} on the way · Taxiway` : "Taxiway";
}

function tellEnd(job) {
  const ends = { completed: "The image is ready", cancelled: "Cancelled" };
  const prompt = job.prompt.slice(0, 80);
  announce(job.status in ends ? `${ends[job.status]}: ${prompt}` : `${prompt}: ${trouble(job.error ?? {}).what}`);
}

async function cancel(job) {
  job.stopping = true;
  cards.get(job.id).update(job);
  try {
    take(await post(`v1/jobs/${job.id}/cancel`));
  } catch (error) {
    job.stopping = false;
    cards.get(job.id).update(job);
    failed(error);
  }
}

function open(job, image) {
  const images = [...feed.children].flatMap(({ dataset }) => {
    const shown = jobs.get(dataset.id);
    return shown.images.map((each) => ({ job: shown, image: each }));
  });
  lightbox.open(images, images.findIndex((each) => each.job.id === job.id && each.image.index === image.index));
}

// Money

const midnight = () => new Date().setHours(0, 0, 0, 0) / 1000;

function spend(job) {
  if (job.created_at < midnight()) return;
  today.set(job.id, job);
  const all = [...today.values()].filter((each) => each.created_at >= midnight());
  const usd = all.reduce((sum, { cost }) => sum + (cost.usd ?? 0), 0);
  const about = all.some(({ cost }) => !cost.final && cost.usd);
  const images = all.reduce((sum, each) => sum + each.images.length, 0);
  setText($("#spend"), `Today ${about ? "about " : ""}${money(usd)}  ·  ${images} image${images === 1 ? "" : "s"}`);
}

async function countToday() {
  let after = "";
  for (let page = 0; page < 20; page++) {
    const list = await get(`v1/jobs?limit=100&since=${midnight()}${after}`);
    list.data.forEach((job) => jobs.has(job.id) || spend(job));
    if (!list.has_more) return;
    after = `&after=${list.last_id}`;
  }
}

// The list

async function refresh() {
  clearTimeout(next);
  try {
    const [page, moving] = await Promise.all([
      get(`v1/jobs?limit=${PAGE}`),
      get("v1/jobs?status=queued,in_progress&limit=100"),
    ]);
    [...moving.data, ...page.data].forEach(take);
    if (oldest === null) {
      oldest = page.last_id;
      $("#older").hidden = !page.has_more;
      $("#empty").hidden = jobs.size > 0;
    }
    if (alone) connection(true);
    outbox.flush();
    follow();
    next = setTimeout(refresh, REFRESH_S * 1000);
  } catch (error) {
    if (!failed(error)) next = setTimeout(refresh, 2000);
  }
  cards.forEach((card) => card.tick());
}

async function showOlder() {
  try {
    const page = await get(`v1/jobs?limit=${PAGE}&after=${oldest}`);
    page.data.forEach(take);
    oldest = page.last_id ?? oldest;
    $("#older").hidden = !page.has_more;
  } catch (error) {
    failed(error);
  }
}

// The connection, and the key

function connection(here) {
  alone = !here;
  const pill = $("#connection");
  pill.hidden = here;
  setText(pill, here ? "" : "Reconnecting …");
}

// Says what is wrong; returns whether nothing is to be tried any more.
function failed(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) {
    login(hasKey() ? error : null);
    return true;
  }
  if (error.passing) connection(false);
  else announce(trouble(error).what);
  return false;
}

function login(error) {
  live.close();
  clearTimeout(next);
  document.body.dataset.view = "login";
  const { what, todo } = error ? trouble(error) : {};
  $("#refusal").replaceChildren(...(error ? [h("b", {}, what), ` ${todo}`] : []));
  $("#key").focus();
}

$("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  setKey($("#key").value.trim());
  await start();
});

$("#logout").addEventListener("click", () => {
  setKey("");
  location.reload();
});

async function start() {
  try {
    composer.setModels((await get("v1/models")).data);
  } catch (error) {
    if (!failed(error)) next = setTimeout(start, 2000);
    return;
  }
  $("#key").value = "";
  $("#logout").hidden = !hasKey();
  document.body.dataset.view = "console";
  connection(true);
  await refresh();
  await countToday().catch(failed);
}

$("#older").addEventListener("click", showOlder);
for (const example of document.querySelectorAll("#empty button")) {
  example.addEventListener("click", () => composer.fill({ prompt: example.textContent }));
}
document.addEventListener("visibilitychange", () => document.hidden || document.body.dataset.view !== "console" || refresh());
addEventListener("online", () => document.body.dataset.view === "console" && refresh());
start();
