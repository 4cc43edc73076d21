"""What is found while a configuration is read: refusals, which stop the start, and warnings, which do not."""

import re
from dataclasses import dataclass
from typing import Literal

#: Entries named one by one in a warning that concerns many of them.
NAMED_AT_MOST = 6

_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a configuration that its owner should know. `sentence` stands on its own."""

    key: str
    """Where it is: the path of a key, or the name of a variable."""
    sentence: str
    level: Literal["warning"] = "warning"


class Notes:
    """The refusals and the warnings of one reading, in the order in which they were met."""

    __slots__ = ("_problems", "_warnings")

    def __init__(self) -> None:
        self._problems: dict[str, None] = {}
        self._warnings: dict[tuple[str, str], list[str]] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each thing that stops the start."""
        return tuple(self._problems)

    def refuse(self, sentence: str) -> None:
        """Note a sentence that stops the start."""
        self._problems[sentence] = None

    def warn(self, place: str, clause: str) -> None:
        """Note a sentence that begins with the place. Entries with the same to say become one warning."""
        general = _INDEX.sub("[]", place, count=1)
        self._warnings.setdefault((general, clause), []).append(place)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every warning, once."""
        return tuple(
            Finding(key=place, sentence=f"{place} {clause}")
            for (general, clause), places in self._warnings.items()
            for place in [_together(general, places)]
        )


def _together(general: str, places: list[str]) -> str:
    indices = [found[1] for place in places if (found := _INDEX.search(place))]
    if not indices:
        return places[0]
    named = list(dict.fromkeys(indices))
    if len(named) > NAMED_AT_MOST:
        named = [*named[:NAMED_AT_MOST], "…"]
    return general.replace("[]", f"[{', '.join(named)}]", 1)
