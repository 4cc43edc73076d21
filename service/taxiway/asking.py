"""What a caller from Python asks for, checked before anything is opened: a wrong argument costs nothing."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from taxiway.errors import BadRequestError
from taxiway.jobs import GenerationRequest, Reference

Check = tuple[Callable[[Any], bool], str]

_N_MAX = 10
_SEED_MAX = 2**32 - 1
_TIMEOUT_S = 600.0
_SURROGATE = re.compile("[\ud800-\udfff]")


def _is_text(value: object) -> bool:
    """Tell whether a value is text that can be sent; half of a surrogate pair cannot."""
    return isinstance(value, str) and _SURROGATE.search(value) is None


_TEXT: Check = (_is_text, "a text")

#: Argument → what it must be, if it is given, and how that is said.
_CHECKS: Mapping[str, Check] = {
    "n": (
        lambda n: type(n) is int and 1 <= n <= _N_MAX,
        f"an integer from 1 to {_N_MAX}",
    ),
    "size": (lambda size: isinstance(size, str), '"auto" or "WIDTHxHEIGHT" in pixels'),
    "style": (lambda style: style == "vivid", '"vivid", which is the default'),
    "response_format": (lambda each: each in ("url", "b64_json"), '"url" or "b64_json"'),
    "seed": (
        lambda seed: type(seed) is int and 0 <= seed <= _SEED_MAX,
        f"an integer from 0 to {_SEED_MAX}",
    ),
    "metadata": (lambda metadata: isinstance(metadata, Mapping), "a mapping"),
    **dict.fromkeys(
        ("model", "quality", "user", "output_format", "background", "moderation", "mask"), _TEXT
    ),
}


def generation_request(
    model: str,
    prompt: object,
    *,
    n: int | None,
    quality: str | None,
    size: str | None,
    style: str | None,
    user: str | None,
    response_format: str | None,
    keywords: Mapping[str, Any],
) -> GenerationRequest:
    """Return the request that some arguments stand for. Raises `BadRequestError` that names the one at fault."""
    options = dict(keywords)
    given = {
        "model": model,
        "n": n,
        "quality": quality,
        "size": size,
        "style": style,
        "user": user,
        "response_format": response_format,
        **{name: options.pop(name) for name in _CHECKS if name in options},
    }
    if not isinstance(prompt, str) or not prompt.strip() or not _is_text(prompt):
        raise _refused("prompt", "a text that is not blank")
    check_arguments(**given)
    mask = given.get("mask")
    return GenerationRequest(
        model=model,
        prompt=prompt,
        n=1 if n is None else n,
        size=size,
        quality=quality,
        output_format=given.get("output_format"),
        background=given.get("background"),
        moderation=given.get("moderation"),
        seed=given.get("seed"),
        references=_references(options.pop("reference_images", None) or ()),
        mask=None if mask is None else Reference(uri=mask),
        metadata=given.get("metadata") or {},
        user=user,
        options=options,
    )


def check_arguments(**given: object) -> None:
    """Return where each argument is None or what it must be. Raises `BadRequestError` that names another one."""
    for name, value in given.items():
        fits, says = _CHECKS[name]
        if value is not None and not fits(value):
            raise _refused(name, says)


def deadline_s(timeout: object) -> float:
    """Return the seconds that a job may take; None stands for the default. Raises `BadRequestError`."""
    if timeout is None:
        return _TIMEOUT_S
    if (
        isinstance(timeout, bool)
        or not isinstance(timeout, int | float)
        or not 0 < timeout < math.inf
    ):
        raise _refused("timeout", "a number of seconds above 0")
    return timeout


def _references(given: object) -> tuple[Reference, ...]:
    try:
        return tuple(Reference(**reference) for reference in given)  # type: ignore[attr-defined]
    except TypeError as error:
        raise _refused("reference_images", 'a list of {"uri": …, "tag": …}') from error


def _refused(name: str, says: str) -> BadRequestError:
    return BadRequestError(f"{name} must be {says}.", param=name, code="invalid_value")
