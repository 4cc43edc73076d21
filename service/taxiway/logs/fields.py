"""The fields of a log line: what each is called on the line, what it holds, what it says.

Code names a field by a Python word, a line by OpenTelemetry's name where there is one. A line is flat, and a
field that is not known is absent.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the word in code, the type in JSON, the meaning, and the name on the line if it differs."""

    word: str
    type: str
    says: str
    line: str = ""

    @property
    def name(self) -> str:
        """The field's name on the line."""
        return self.line or self.word


FIELDS = (
    # On every line
    Field("timestamp", "string", "When the line was written: ISO 8601, UTC."),
    Field(
        "level",
        "string",
        "debug, info, warning (degraded, heals itself), error (somebody must act).",
    ),
    Field("event", "string", "What happened: a name of the table of events."),
    Field("service_name", "string", "Always taxiway.", "service.name"),
    Field("service_version", "string", "The version of Taxiway.", "service.version"),
    Field("service_instance", "string", "This process among its replicas.", "service.instance.id"),
    # What belongs together
    Field("trace_id", "string", "The W3C trace of the request that began it."),
    Field("request_id", "string", "The request that began it."),
    Field("job_id", "string", "The job."),
    Field("key_id", "string", "The virtual key, by its id; absent for the master key."),
    Field("provider_task_id", "string", "The provider's own id of the task it ran last."),
    # The generation
    Field(
        "operation", "string", "Always generate_content, on lines of jobs.", "gen_ai.operation.name"
    ),
    Field("provider", "string", "Who makes the image.", "gen_ai.provider.name"),
    Field("model", "string", "The model as the caller named it.", "gen_ai.request.model"),
    Field("deployment", "string", "The configured deployment that took the task."),
    Field("group", "string", "The public name that the task is bought under."),
    Field("size", "string", "The size that is made."),
    Field("n", "integer", "Images asked for."),
    Field("references", "integer", "Reference images given."),
    Field("phase", "string", "What the job waits for."),
    Field("revision", "integer", "The job's revision after this."),
    Field("attempt", "integer", "Which attempt, counted from 0."),
    Field("progress", "integer", "Percent."),
    # The prompt
    Field("prompt_chars", "integer", "The prompt's length in characters."),
    Field(
        "prompt_hmac", "string", "The same for equal prompts of one installation, and no way back."
    ),
    Field("prompt", "string", "The prompt, only where log_prompts is set."),
    # How it went
    Field("duration_s", "number", "Seconds from the beginning to the end."),
    Field("wait_s", "number", "Seconds until the provider's yes, or the next try."),
    Field("queued_s", "number", "Seconds without a task."),
    Field("submitting_s", "number", "Seconds of submitting."),
    Field("provider_queue_s", "number", "Seconds in the provider's queue."),
    Field("throttled_s", "number", "Seconds held back by the provider."),
    Field("running_s", "number", "Seconds of making the image."),
    Field("storing_s", "number", "Seconds of keeping the image."),
    Field("images", "integer", "Images made."),
    Field("image", "integer", "Which image of the job, counted from 0."),
    Field("files", "integer", "Files deleted."),
    Field("attempts", "integer", "Tasks bought, or tried to buy."),
    Field("refusals", "integer", "Submissions that the provider turned away."),
    Field("polls", "integer", "Looks at the tasks."),
    Field("credits", "integer", "The cost in the provider's credits."),
    Field("cost_usd", "number", "The same in US dollars."),
    Field(
        "cost_final", "boolean", "Whether the provider reported it; otherwise it is an estimate."
    ),
    Field("error_type", "string", "Why: the reason that metrics count.", "error.type"),
    Field("error_code", "string", "Why: the code that the caller got.", "error.code"),
    Field("error", "string", "Why, as a sentence.", "error.message"),
    Field("failure_code", "string", "Why, as the provider codes it."),
    Field(
        "provider_message", "string", "Why, as the provider puts it. The caller is not shown this."
    ),
    Field("status", "string", "A status as the provider words it."),
    Field("retried", "boolean", "Whether another attempt follows."),
    Field("tries", "integer", "How often it was tried so far."),
    Field("cause", "string", "Why the job changed hands."),
    # HTTP
    Field("method", "string", "The method.", "http.request.method"),
    Field("route", "string", "The route's template.", "http.route"),
    Field("code", "integer", "The status answered.", "http.response.status_code"),
    Field("path", "string", "The path without its query.", "url.path"),
    Field("client", "string", "The caller's address.", "client.address"),
    Field("user_agent", "string", "The caller's program, as it says.", "user_agent.original"),
    Field("reason", "string", "Why a request was refused, or a stream ended."),
    Field("events", "integer", "Events written to the viewer."),
    Field("resumed", "boolean", "Whether the viewer came with a cursor."),
    Field("receiver", "string", "The host that is told of a job's end."),
    # The process
    Field("host", "string", "The address listened on."),
    Field("port", "integer", "The port listened on."),
    Field("database", "string", "The kind of store."),
    Field("before", "string", "The schema version found; absent for a new database."),
    Field("after", "string", "The schema version in use."),
    Field("models", "integer", "Models on offer."),
    Field("jobs", "integer", "Jobs taken up, let go of, deleted, or watched."),
    Field("streams", "integer", "Event streams ended."),
    Field("task", "string", "The background task."),
    Field("logger", "string", "The library's logger."),
    Field("message", "string", "What the library, or the configuration's reader, says."),
    Field("exception", "array", "The traceback, without the values of variables."),
)

#: Words in code → names on the line, where the two differ.
SPELLING = MappingProxyType({field.word: field.line for field in FIELDS if field.line})

#: On every line.
ALWAYS = ("timestamp", "level", "event", "service_name", "service_version", "service_instance")

#: On any line that is written while a request is served.
CONTEXT = ("request_id", "trace_id", "job_id")
