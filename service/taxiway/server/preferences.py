"""What a request's headers say of time: whether the caller waits (`Prefer`, RFC 7240), and the job's own limit.

A preference that cannot be read is ignored, as its RFC says. A limit that cannot be read is refused.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from multidict import CIMultiDictProxy

from taxiway.errors import BadRequestError

TIMEOUT = "x-litellm-timeout"

#: What a job is given at the least, in seconds: no image is made sooner, and asking for that is a mistake.
TIMEOUT_MIN_S = 1

_PREFERENCE = re.compile(
    r"""(?:^|,)\s* (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+) \s*
        (?:=\s* (?:"(?P<quoted>[^"]*)" | (?P<word>[^\s,;"]*)) )? \s*
        (?=$|[,;])""",
    re.VERBOSE,
)
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a caller prefers. Nothing: wait until the end."""

    respond_async: bool = False
    wait_s: int | None = None

    @property
    def waits(self) -> bool:
        """Whether the caller waits at all."""
        return self.wait_s is not None or not self.respond_async

    def limit_s(self, longest_s: float) -> int | None:
        """Return the whole seconds to wait, never more than `longest_s`; None for a caller who sets no limit."""
        if self.wait_s is None:
            return None
        return min(self.wait_s, max(0, math.ceil(longest_s)))


def read_preferences(headers: Iterable[str]) -> Preferences:
    """Return what the `Prefer` headers of a request say; of a preference given twice the first counts."""
    found: dict[str, str] = {}
    for match in _PREFERENCE.finditer(",".join(headers)):
        found.setdefault(match["name"].lower(), match["quoted"] or match["word"] or "")
    wait = found.get("wait", "")
    return Preferences(
        respond_async="respond-async" in found,
        wait_s=int(wait) if _SECONDS.fullmatch(wait) else None,
    )


def read_timeout(headers: CIMultiDictProxy[str]) -> float | None:
    """Return the seconds that LiteLLM's header gives a job, None without it. Raises `BadRequestError`."""
    text = headers.get(TIMEOUT, "").strip()
    if not text:
        return None
    try:
        timeout_s = float(text)
    except ValueError:
        timeout_s = math.nan
    if TIMEOUT_MIN_S <= timeout_s < math.inf:
        return timeout_s
    sentence = f"`{TIMEOUT}` must be a number of seconds, at least {TIMEOUT_MIN_S}."
    raise BadRequestError(sentence, param=TIMEOUT)
