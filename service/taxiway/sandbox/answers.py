"""What the vendor says, in values: statuses and bodies word for word, where the words are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from taxiway.sandbox.faults import Body
from taxiway.sandbox.zod import Issue

DOC_URL = "https://docs.dev.runwayml.com/api"


@dataclass(slots=True, kw_only=True)
class Answer:
    """A status, a JSON object (None = no body at all), and headers of its own."""

    status: int = 200
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, error: str, *, doc: bool = False) -> Answer:
    """Return an error in the vendor's general form."""
    return Answer(status=status, body={"error": error, **({"docUrl": DOC_URL} if doc else {})})


def invalid(issues: Sequence[Issue]) -> Answer:
    """Return the refusal of a body, with everything that is wrong with it."""
    body = {"error": "Validation of body failed", "issues": list(issues), "docUrl": DOC_URL}
    return Answer(status=400, body=body)


def not_json() -> Answer:
    """Return the refusal of a body that cannot be read; the wording is ours, the vendor's is unknown."""
    return refusal(400, "Request body is not valid JSON.", doc=True)


def unauthorized() -> Answer:
    """Return the refusal of a key."""
    return refusal(401, "Unauthorized")


def version_missing() -> Answer:
    """Return the refusal of a request without a version."""
    text = "The X-Runway-Version header was not provided in the request"
    return refusal(400, text, doc=True)


def version_wrong() -> Answer:
    """Return the refusal of a version that does not exist."""
    text = "The API version that was provided in the X-Runway-Version header is not valid."
    return refusal(400, text, doc=True)


def on_behalf_of_missing() -> Answer:
    """Return the refusal on accounts that must name their end user."""
    text = "X-Runway-On-Behalf-Of request header was not specified for task creation"
    return refusal(400, text)


def no_credits() -> Answer:
    """Return the refusal of an order that the balance does not cover: a 400, without issues."""
    return refusal(400, "You do not have enough credits to run this task.", doc=True)


def daily_quota() -> Answer:
    """Return the refusal of one task too many in 24 h."""
    return refusal(429, "Your daily task limit has been reached.", doc=True)


def no_task() -> Answer:
    """Return what every id gets that is unknown, deleted or cancelled."""
    return refusal(404, "Could not find Task")


def too_long() -> Answer:
    """Return the gateway's refusal of a long body; its words are those of Amazon's gateway."""
    return Answer(status=413, body={"message": "Request Too Long"})


def no_route(status: int) -> Answer:
    """Return the refusal of an unknown path or a wrong method; the wording is ours."""
    return refusal(status, HTTPStatus(status).phrase)


def scripted(status: int, body: Body | None) -> tuple[bytes | Answer, str]:
    """Return the body of a scripted fault, as an answer or as bytes, and its content type."""
    json_type = "application/json; charset=utf-8"
    if body == "html":
        return _page(status), "text/html"
    if body == "empty":
        return b"", "text/plain"
    kind = body or ("throttle" if status == 429 else "runway")
    phrase = HTTPStatus(status).phrase
    answers = {
        "quota": daily_quota(),
        "credits": no_credits(),
        "throttle": Answer(body={"message": "Too Many Requests"}),
        "json": Answer(body={"message": phrase}),
        "runway": _own(status, phrase),
    }
    answer = answers[kind]
    answer.status = status
    return answer, json_type


def _own(status: int, phrase: str) -> Answer:
    return no_task() if status == 404 else refusal(status, phrase)


def _page(status: int) -> bytes:
    title = f"{status} {HTTPStatus(status).phrase}"
    return (
        f"<html><head><title>{title}</title></head>"
        f"<body><center><h1>{title}</h1></center></body></html>"
    ).encode()
