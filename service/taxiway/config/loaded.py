"""What a configuration comes to."""

from dataclasses import dataclass
from pathlib import Path

from taxiway.config.notes import Finding
from taxiway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings of a service, and what their owner should know about them."""

    settings: Settings
    findings: tuple[Finding, ...]
    files: tuple[Path, ...] = ()
    """What was read for it, files that hold secrets included: a change of one of them may change the settings."""
