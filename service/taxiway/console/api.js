// The service, as the page sees it. Addresses are relative, so the console works below any path.

import { keep, kept } from "./memory.js";

let key = kept("key") ?? "";
let keyHeader = "Authorization";

export const hasKey = () => key !== "";

export function setKey(value) {
  key = value;
  keep("key", value);
}

export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", message = "", param = null, again = false, job = null }) {
    super(message);
    Object.assign(this, { status, code, param, again, job });
  }

  // Whether the same request may be sent again by itself, under the same idempotency key.
  get passing() {
    return this.again || this.status === 0 || ([502, 503, 504].includes(this.status) && this.code === "unreachable");
  }
}

export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (key) sent[keyHeader] = `Bearer ${key}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({});
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

export const get = async (path, options) => (await call(path, options)).json();
export const post = async (path, body, options) => (await call(path, { ...options, method: "POST", body })).json();

async function problemOf(response) {
  const { error } = await response.json().catch(() => ({}));
  // An operator may have named a header of their own for keys; the refusal says which.
  const named = error?.code === "missing_api_key" && /`([\w-]+): Bearer/.exec(error.message);
  if (named) keyHeader = named[1];
  return new Problem({
    status: response.status,
    code: error?.code,
    message: error?.message,
    param: error?.param,
    job: error?.job_id,
    again: response.headers.get("x-should-retry") === "true",
  });
}

export const imagePath = (job, image) => `v1/jobs/${job.id}/images/${image.index}`;

const shown = new Map();

// An address the page can show an image by. With a key, the bytes are fetched: an <img> sends no header.
export async function imageAddress(job, image) {
  const path = imagePath(job, image);
  if (!key) return path;
  if (!shown.has(path)) {
    const address = call(path).then(async (response) => URL.createObjectURL(await response.blob()));
    shown.set(path, address);
    address.catch(() => shown.delete(path));
  }
  return shown.get(path);
}

export function fileName(job, image) {
  const kind = image.content_type?.split("/")[1]?.split("+")[0] ?? "png";
  return `${job.id}-${image.index}.${kind.replace("jpeg", "jpg")}`;
}
