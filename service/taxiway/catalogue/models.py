"""The catalogue of this release: every model Taxiway knows, read once from the data file beside it.

>>> from taxiway.catalogue.models import model, models
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from taxiway.catalogue.entries import Model
from taxiway.catalogue.reading import read

__all__ = ["Model", "model", "models"]


@cache
def models() -> Mapping[str, Model]:
    """Return every model by name, in the catalogue's order. The file is read at the first call."""
    text = files("taxiway.catalogue").joinpath("models.toml").read_text(encoding="utf-8")
    return MappingProxyType(read(text))


def model(name: str) -> Model:
    """Return the model of that name, without a provider's prefix. Raises `KeyError` for an unknown one."""
    return models()[name]
