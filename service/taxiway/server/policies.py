"""How a caller wants the job to be run: by fields of the body, and by LiteLLM's headers where these are silent."""

import re
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from taxiway.errors import BadRequestError
from taxiway.jobs import Policy
from taxiway.server.bodies import Asked

RETRIES = "x-litellm-num-retries"
TAGS = "x-litellm-tags"

#: As many as the body takes.
RETRIES_MAX = 10

#: More words than anybody chooses a deployment by; they are kept with the job.
TAGS_MAX = 16
TAG_CHARS_MAX = 64

_NUMBER = re.compile(r"[0-9]{1,3}")


def policy_of(request: web.Request, asked: Asked) -> Policy:
    """Return the policy of a request. Raises `BadRequestError` naming the header or the field at fault."""
    policy = asked.delivery.policy
    retries = _retries(request.headers) if policy.num_retries is None else policy.num_retries
    tags = _tags(request.headers.get(TAGS), asked.generation.metadata.get("tags"))
    return replace(policy, num_retries=retries, tags=tags)


def _retries(headers: Mapping[str, str]) -> int | None:
    text = headers.get(RETRIES, "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text) and int(text) <= RETRIES_MAX:
        return int(text)
    raise BadRequestError(f"`{RETRIES}` must be an integer from 0 to {RETRIES_MAX}.", param=RETRIES)


def _tags(header: str | None, metadata: object) -> tuple[str, ...]:
    listed = metadata if isinstance(metadata, list) else []
    words = [*(header or "").split(","), *listed]
    tags = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    param = TAGS if header else "metadata.tags"
    if len(tags) > TAGS_MAX:
        raise BadRequestError(f"`{param}` may have at most {TAGS_MAX} tags.", param=param)
    if any(len(tag) > TAG_CHARS_MAX for tag in tags):
        raise BadRequestError(
            f"`{param}` may have tags of at most {TAG_CHARS_MAX} characters.", param=param
        )
    return tags
