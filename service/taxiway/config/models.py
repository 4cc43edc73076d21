"""Which model an entry means: the vendor before the slash, and the catalogue's models behind a `*`."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from taxiway.catalogue.models import models
from taxiway.vendors import RUNWAYML, VENDORS, vendor_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A model as an entry names it. `vendor` is None where neither prefix nor catalogue tells whose it is."""

    vendor: str | None
    model: str


def parse(model: str, *, vendor: str | None = None) -> Named:
    """Return the vendor and the model that a `model` value names; `vendor` is a `custom_llm_provider`."""
    prefix, slash, rest = model.partition("/")
    if vendor is not None:
        name = rest if slash and prefix == vendor else model
        return Named(vendor=vendor, model=_filled(name, vendor))
    if slash:
        return Named(vendor=prefix, model=_filled(rest, prefix))
    if "*" in model or model in models():
        return Named(vendor=RUNWAYML.name, model=model)
    known = vendor_of(model)
    return Named(vendor=None if known is None else known.name, model=model)


def matching(pattern: str) -> list[tuple[str, str]]:
    """Return the catalogue's models that a pattern with one `*` matches, each with what the `*` stands for."""
    head, _, tail = pattern.partition("*")
    return [
        (name, name[len(head) : len(name) - len(tail)])
        for name in models()
        if name.startswith(head) and name.endswith(tail) and len(name) > len(head) + len(tail) - 1
    ]


def near(name: str, names: Iterable[str] | None = None) -> str:
    """Return the end of a sentence: "; did you mean …?" with the nearest name, or a full stop."""
    found = get_close_matches(name, list(models() if names is None else names), n=1)
    return f"; did you mean {found[0]}?" if found else "."


def _filled(name: str, vendor: str) -> str:
    return name or (VENDORS[vendor].default_model if vendor in VENDORS else "")
