"""The names a request goes by, from the caller's log to ours.

A name is taken over only in a form that is safe to log, store and send back; else the request gets a new one.
"""

import random
import re
import uuid
from collections.abc import Mapping

from multidict import CIMultiDictProxy

#: In order of precedence: LiteLLM's clients send the first, everybody else's proxies the second.
_CALL_ID_HEADERS = ("x-litellm-call-id", "X-Request-ID")
_CALL_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

#: W3C Trace Context, any version but the forbidden `ff`; later versions may append fields.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace_id>(?!0{32})[0-9a-f]{32})"
    r"-(?P<parent_span_id>(?!0{16})[0-9a-f]{16})-(?P<trace_flags>[0-9a-f]{2})(?:-.*)?"
)


def call_id_of(headers: CIMultiDictProxy[str]) -> str:
    """Return the caller's own id for this call, or a new one."""
    for name in _CALL_ID_HEADERS:
        value = headers.get(name, "")
        if _CALL_ID.fullmatch(value):
            return value
    # A name and no secret, so the system need not be asked for its randomness at every request.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def trace_of(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """Return `trace_id`, `parent_span_id` and `trace_flags` of a valid `traceparent`, or nothing."""
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    return match.groupdict() if match else {}
