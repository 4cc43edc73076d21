"""The words of a section as data: each key with its verdict, so that a new feature flips one line."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase

#: Turns a raw value into a setting. Raises `ValueError` with what is accepted, as in "must be …".
Reader = Callable[[object], object]


class Verdict(StrEnum):
    """What becomes of a key."""

    HONOURED = "honoured"
    LATER = "later"
    """Known, wanted, and not built in this release."""
    NO_EFFECT = "no effect"
    """LiteLLM's, and without a use here."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One key of one section."""

    verdict: Verdict
    field: str | None = None
    """The setting it fills; None where code beside the tables reads it."""
    read: Reader | None = None
    """Also checks the value of a key without effect."""
    why: str = ""
    """The reason a warning or a refusal gives."""
    private: bool = False
    """Whether the value must never be shown."""
    silent: Callable[[object], bool] | None = None
    """For a key without effect: the values that ask for what happens anyway, and need no warning."""


def sets(field: str, read: Reader, *, private: bool = False) -> Word:
    """Return a word that fills a setting."""
    return Word(verdict=Verdict.HONOURED, field=field, read=read, private=private)


def handled() -> Word:
    """Return a word that is honoured by code of its own."""
    return Word(verdict=Verdict.HONOURED)


def later(
    why: str, *, read: Reader | None = None, silent: Callable[[object], bool] | None = None
) -> Word:
    """Return a word that this release does not honour yet."""
    return Word(verdict=Verdict.LATER, why=why, read=read, silent=silent)


def no_effect(why: str, *, silent: Callable[[object], bool] | None = None) -> Word:
    """Return a word that is accepted and does nothing."""
    return Word(verdict=Verdict.NO_EFFECT, why=why, silent=silent)


def refused(why: str) -> Word:
    """Return a word that stops the start, since ignoring it would take a protection away."""
    return Word(verdict=Verdict.REFUSED, why=why)


def idle(why: str, names: str) -> dict[str, Word]:
    """Return words without effect that share a reason; `names` are separated by blanks."""
    return {name: no_effect(why) for name in names.split()}


class Vocabulary:
    """The words of one section. A key with `*` stands for every name it matches.

    `meant` gives the right word for names that are common elsewhere.
    """

    __slots__ = ("_meant", "_patterns", "_words", "section")

    def __init__(
        self, section: str, words: Mapping[str, Word], *, meant: Mapping[str, str] | None = None
    ) -> None:
        self.section = section
        """The section's name in messages."""
        self._words = dict(words)
        self._meant = dict(meant or {})
        self._patterns = [name for name in words if "*" in name]

    def __iter__(self) -> Iterator[tuple[str, Word]]:
        return iter(self._words.items())

    def find(self, key: str) -> Word | None:
        """Return the word of a key; None: nobody knows it."""
        if key in self._words:
            return self._words[key]
        return next((self._words[p] for p in self._patterns if fnmatchcase(key, p)), None)

    def nearest(self, key: str) -> str | None:
        """Return the known key that a misspelt one most likely meant, one that does something first."""
        if key in self._meant:
            return self._meant[key]
        plain = [name for name in self._words if "*" not in name]
        useful = [n for n in plain if self._words[n].verdict in (Verdict.HONOURED, Verdict.LATER)]
        for names, cutoff in ((useful, 0.7), (plain, 0.7), (useful, 0.6)):
            if found := get_close_matches(key, names, n=1, cutoff=cutoff):
                return found[0]
        return None
