"""A configuration, as the commands take it: a file, the environment, and their own options."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from taxiway.config import Loaded, load_settings

#: Variables that speak to these commands and not to the service, which would call them misspelt.
_OURS = frozenset({"TAXIWAY_URL", "TAXIWAY_KEY", "TAXIWAY_MODEL", "TAXIWAY_DEBUG"})

_NONE: Mapping[str, str] = MappingProxyType({})


def load(
    config: Path | None, *, otherwise: Mapping[str, str] = _NONE, **overrides: object
) -> Loaded:
    """Return the settings. `otherwise` are variables that count where the environment lacks them.

    Raises `ConfigError`.
    """
    given = {name: text for name, text in os.environ.items() if name not in _OURS}
    return load_settings(path=config, environ={**otherwise, **given}, overrides=overrides)
