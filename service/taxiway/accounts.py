"""Who is asked by a call from Python: the vendor that the model names, and the account of the environment."""

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from taxiway.errors import BadRequestError
from taxiway.settings import RUNWAY_VERSION, Deployment, Secret
from taxiway.vendors import RUNWAYML, VENDORS, Vendor, vendor_of

_KEY = re.compile(r"[\x21-\x7e]+")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f?#@]+")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def deployment_of(
    model: str | None,
    api_key: str | None,
    api_base: str | None,
    api_version: str | None,
    provider: str | None,
    kwargs: dict[str, Any],
) -> Deployment:
    """Return the deployment that some arguments name; `kwargs` loses those that are its own.

    Raises `BadRequestError` that names the argument at fault: what no call could be made with is known before one.
    """
    name = model or RUNWAYML.default_model
    if not isinstance(name, str):
        raise _refused("model", "a text")
    vendor, short = _vendor(name, provider)
    key = _read(api_key, vendor, "api_key", _KEY.fullmatch, "a key, in ASCII without blanks")
    base = _read(api_base, vendor, "api_base", _is_address, f"an address such as {vendor.api_base}")
    version = _read(
        api_version, vendor, "api_version", _VERSION.fullmatch, f"a date such as {RUNWAY_VERSION}"
    )
    num_retries = kwargs.pop("num_retries", None)
    if num_retries is not None and (type(num_retries) is not int or num_retries < 0):
        raise _refused("num_retries", "an integer, 0 or more")
    return Deployment(
        id=name,
        model_name=name,
        provider=vendor.name,
        model=short,
        api_key=Secret(key) if key else None,
        api_base=(base or vendor.api_base).rstrip("/").removesuffix(vendor.drops).rstrip("/"),
        api_version=version or RUNWAY_VERSION,
        num_retries=num_retries,
        drop_params=bool(kwargs.pop("drop_params", False)),
    )


def _vendor(name: str, provider: str | None) -> tuple[Vendor, str]:
    """Return who makes a model, and the vendor's own name for it."""
    prefix, slash, short = name.partition("/")
    if provider is not None:
        if provider not in VENDORS:
            raise BadRequestError(
                f"The provider {provider!r} is not known; known are {', '.join(VENDORS)}.",
                param="custom_llm_provider",
            )
        return VENDORS[provider], short if slash and prefix == provider else name
    if not slash:
        return vendor_of(name) or RUNWAYML, name
    if prefix not in VENDORS:
        raise BadRequestError(
            f"The provider {prefix!r} is not known; write "
            f"{' or '.join(f'{vendor}/<model>' for vendor in VENDORS)}.",
            param="model",
        )
    return VENDORS[prefix], short or VENDORS[prefix].default_model


def _read(
    given: object, vendor: Vendor, name: str, fits: Callable[[str], object], says: str
) -> str | None:
    """Return an argument, or what the environment has in its place; both may end as a line of a file does."""
    value = given or _variable(vendor, name)
    if not value:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if not fits(text):
        raise _refused(name, says)
    return text


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return _URL.fullmatch(text) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, or brackets around no IPv6 address
        return False


def _refused(name: str, says: str) -> BadRequestError:
    return BadRequestError(f"{name} must be {says}.", param=name, code="invalid_value")


def _variable(vendor: Vendor, setting: str) -> str | None:
    """Return what the environment sets of a vendor's account."""
    named = (name for name, sets in vendor.variables.items() if sets == setting)
    return next(filter(None, map(os.environ.get, named)), None)
