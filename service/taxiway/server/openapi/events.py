"""What event streams carry: a name, perhaps an id, and data whose schema stands here under the name."""

from taxiway.events import EventName
from taxiway.jobs import JobStatus, Phase
from taxiway.server.frames import Operation
from taxiway.server.openapi.words import (
    INTEGER,
    JOB_ID,
    TEXT,
    Schema,
    one_of,
    only,
    or_null,
    record,
    ref,
)

_TICK = EventName.PROGRESS


def job_events(*, of_many: bool = False) -> Schema:
    """Return the content of a stream of jobs' events."""
    what = "the revisions of all jobs, in the order of `ids`" if of_many else "the job's revision"
    return _stream(
        {
            name.value: {"data": ref("Job"), **({} if name is _TICK else {"id": what})}
            for name in EventName
        }
    )


def image_events() -> Schema:
    """Return the content of OpenAI's image streams, those of generations and of edits."""
    events: dict[str, Schema] = {}
    for operation in Operation:
        events[f"{operation}.progress"] = {"data": ref("ImageProgressEvent")}
        events[f"{operation}.completed"] = {"data": ref("ImageCompletedEvent")}
    events["error"] = {"data": ref("ImageErrorEvent")}
    return _stream(events)


def event_schemas() -> dict[str, Schema]:
    """Return the schemas of what only streams carry, by name. A job's events carry the job."""
    return {
        "ImageProgressEvent": record(
            {
                "type": one_of(f"{operation}.progress" for operation in Operation),
                "job_id": JOB_ID,
                "status": one_of(JobStatus),
                "phase": or_null(one_of(Phase)),
                "progress": INTEGER,
                "queue_position": or_null(INTEGER),
                "created_at": INTEGER,
            }
        ),
        "ImageCompletedEvent": record(
            {
                "type": one_of(f"{operation}.completed" for operation in Operation),
                "created_at": INTEGER,
                "size": TEXT,
                "quality": TEXT,
                "background": TEXT,
                "output_format": TEXT,
                "usage": ref("Usage"),
                "job_id": JOB_ID,
                "image_index": INTEGER,
                "url": TEXT,
                "b64_json": or_null(TEXT),
                "cost": ref("Cost"),
                "cost_credits": or_null(INTEGER),
                "cost_microusd": or_null(INTEGER),
            },
            optional=["cost", "cost_credits", "cost_microusd"],
        ),
        "ImageErrorEvent": record({"type": only("error"), "error": ref("Error")}),
    }


def _stream(events: dict[str, Schema]) -> Schema:
    return {"schema": {"type": "string"}, "x-events": events}
