"""The headers that say how far a virtual key has got with its limits."""

import math

from taxiway.budgets import MINUTE_S, Recent, Standing
from taxiway.keys import Key
from taxiway.server.headers import usd_text


def key_headers(
    key: Key, standing: Standing | None, *, now: float, refused_s: float | None = None
) -> dict[str, str]:
    """Return how far a key has got with its limits, in LiteLLM's names, OpenAI's, and the standard-to-be's.

    `refused_s` says that its rate has just turned a request away, and for how long.
    """
    headers = {}
    if standing is not None:
        account = standing.account.at(now)
        headers["x-litellm-key-spend"] = usd_text(account.spent_microusd)
    if key.max_budget_microusd is not None:
        headers["x-litellm-key-max-budget"] = usd_text(key.max_budget_microusd)
    if key.rpm_limit is not None:
        headers["x-litellm-key-rpm-limit"] = str(key.rpm_limit)
        headers |= _rate_headers(key.rpm_limit, standing, now=now, refused_s=refused_s)
    return headers


def _rate_headers(
    limit: int, standing: Standing | None, *, now: float, refused_s: float | None
) -> dict[str, str]:
    recent = Recent() if standing is None else standing.recent
    # The first of them leaves the minute then, and makes room for another one.
    wait_s = math.ceil(recent.frees_s(now))
    left = recent.left(limit) if wait_s else limit
    if refused_s is not None:
        # The store has counted what other processes let in, which is not known here yet.
        wait_s, left = math.ceil(refused_s), 0
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": f"{wait_s}s",
        "RateLimit-Policy": f'"rpm";q={limit};w={MINUTE_S:.0f}',
        "RateLimit": f'"rpm";r={left};t={wait_s}',
    }
