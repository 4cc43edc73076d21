// How things are said: plain words for phases and for errors, and what to do about them.

const PHASES = {
  queued: "Waiting for its turn",
  submitting: "Handing it to the provider",
  provider_queue: "In the provider’s queue",
  throttled: "The provider is busy; it goes on by itself",
  running: "Being made",
  storing: "Saving the image",
};

// Code of an error → what happened, and what to do about it.
const TROUBLES = {
  content_policy_violation: [
    "The provider’s moderation refused this.",
    "The same words will be refused again: change the prompt or the reference images, then ask again.",
  ],
  invalid_image: [
    "The provider could not use a reference image.",
    "Try another one: PNG, JPEG or WebP, and not more than twice as high as wide.",
  ],
  provider_rejected: ["The provider did not accept the request.", "Change what the message names, then ask again."],
  provider_quota_exceeded: [
    "The account at the provider has made all the images it may make today.",
    "Ask again tomorrow, or try another model.",
  ],
  insufficient_credits: [
    "The account at the provider has nothing left to spend.",
    "Whoever runs the service has to fill it up; Runway sells credits in its developer portal.",
  ],
  provider_rate_limited: ["The provider was too busy for this one.", "Ask again in a few minutes."],
  no_deployment_available: [
    "The provider could not be reached in time.",
    "Nothing was bought. Ask again in a moment.",
  ],
  "BUDGET.SPENT": [
    "What this service may spend on this model is spent.",
    "Nothing was bought. Ask whoever runs the service, or try another model.",
  ],
  provider_auth_failed: [
    "The provider does not accept this service’s key.",
    "Whoever runs the service has to give it a valid one.",
  ],
  provider_failed: ["The provider tried and failed to make this image.", "Ask again; another wording may help."],
  provider_cancelled: ["Somebody stopped the task at the provider.", "Ask again if you still want the image."],
  provider_empty_output: ["The provider finished without an image.", "Ask again; another wording may help."],
  submission_unknown: [
    "The provider’s answer was lost, so nobody knows whether it took the request.",
    "It may be paid for. Look for it at the provider before you ask again.",
  ],
  job_timeout: ["It took longer than it may.", "It was stopped. Ask again, perhaps a little later."],
  internal_server_error: [
    "Something went wrong inside Taxiway.",
    "The service’s log says more, under the id of this job.",
  ],
  // Before there is a job
  unreachable: ["The service cannot be reached.", "This page tries again by itself."],
  invalid_api_key: ["This key is not valid here.", "Check it for missing characters."],
  expired_key: ["This key has expired.", "Ask whoever gave it to you for another one."],
  key_blocked: ["This key is blocked.", "Ask whoever gave it to you."],
  key_model_access_denied: ["This key may not use this model.", "Choose another one."],
  model_not_found: ["This model is not on offer any more.", "Choose another one."],
  queue_full: ["Too many images are waiting already.", "Ask again when some of them are done."],
  rate_limit_exceeded: ["Too many requests at once.", "Ask again in a moment."],
  budget_exceeded: ["The budget of this key does not cover this.", "Ask whoever gave you the key for more."],
  draining: ["The service is restarting.", "Ask again in a moment; nothing was bought."],
  store_unavailable: ["The service cannot save jobs at the moment.", "Ask again in a moment; nothing was bought."],
  request_too_large: ["The reference images are too large together.", "Take one away, or a smaller one."],
};

export function phaseOf(job) {
  if (job.stopping) return "Stopping";
  const place = job.phase === "queued" && job.queue_position ? `, number ${job.queue_position} in line` : "";
  return (PHASES[job.phase] ?? job.phase) + place;
}

export function remaining(job) {
  return job.phase === "running" && job.eta_s ? `about ${duration(Math.max(1, job.eta_s))} left` : "";
}

// Returns what happened, what to do, and the service's own sentence where it adds something.
export function trouble(error) {
  const failure = error.provider_specific_fields?.failure_code ?? "";
  const known = TROUBLES[failure] ?? TROUBLES[error.code];
  if (!known) return { what: error.message || "Something went wrong.", todo: "", detail: "" };
  const late = error.code === "content_policy_violation" && failure.includes("OUTPUT");
  return {
    what: late ? "The provider’s moderation refused the finished image." : known[0],
    todo: known[1],
    detail: ["provider_rejected", "invalid_image"].includes(error.code) ? error.message : "",
  };
}

const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

export const money = (usd) => dollars.format(usd);

export function cost(job) {
  if (job.cost.usd === null) return "price unknown";
  if (job.cost.usd === 0) return "no cost";
  return job.cost.final ? money(job.cost.usd) : `about ${money(job.cost.usd)}`;
}

// Says of a failure that it has cost something, which nobody expects.
export const charged = (job) => (job.cost.final && job.cost.usd > 0 ? "The provider charged for it all the same." : "");

export const pixels = (size) => (size ? size.replace("x", " × ") : "");

export function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(date) {
  const seconds = Date.now() / 1000 - date;
  if (seconds < 50) return "just now";
  for (const [unit, length, below] of [
    ["minute", 60, 50 * 60],
    ["hour", 3600, 22 * 3600],
    ["day", 86400, Infinity],
  ]) {
    if (seconds < below) return relative.format(-Math.round(seconds / length), unit);
  }
}
