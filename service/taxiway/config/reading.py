"""One pass over a configuration: values with their variables in place, each checked against its word.

A variable is looked up only where its value is used. A file that also serves LiteLLM names keys of other
vendors, which this service has no need of and the machine need not have.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from taxiway.config.notes import Notes
from taxiway.config.showing import FromVariable, named, shown
from taxiway.config.words import Reader, Verdict, Vocabulary, Word

#: LiteLLM's way to name a variable in the place of any text.
PREFIX = "os.environ/"

Value = TypeVar("Value")

_OFF: tuple[object, ...] = (None, False, "", [], {})


class Reading:
    """The variables a configuration may name, and the notes its reading leaves."""

    __slots__ = ("environ", "homes", "notes")

    def __init__(
        self, *, environ: Mapping[str, str], notes: Notes, homes: tuple[Vocabulary, ...] = ()
    ) -> None:
        self.environ = environ
        self.notes = notes
        self.homes = homes
        """Sections in which a key that is unknown in one place may be at home."""

    def value(
        self,
        raw: object,
        read: Callable[[object], Value],
        *,
        place: str,
        private: bool = False,
    ) -> Value | None:
        """Return what a reader makes of a value; None for one that is absent, or refused and noted."""
        if raw is None:
            return None
        try:
            found = self._resolved(raw, place)
        except LookupError as error:
            self.notes.refuse(str(error.args[0]))
            return None
        try:
            return read(found)
        except ValueError as error:
            instead = "" if private else f", not {shown(found)}"
            self.notes.refuse(f"{place} must be {error}{instead}.")
            return None

    def section(
        self, values: Mapping[str, object], words: Vocabulary, *, place: str
    ) -> dict[str, Any]:
        """Return the settings that a section fills, by field; note all else there is to say about it."""
        fields: dict[str, Any] = {}
        for key, raw in values.items():
            where = f"{place}.{named(key)}" if place else named(key)
            word = words.find(key)
            if word is None:
                self.notes.refuse(self._unknown(key, words, where=where))
                continue
            found = self._judged(raw, word, where)
            if word.field is not None and found is not None:
                fields.setdefault(word.field, found)
        return fields

    def mapping(self, raw: object, *, place: str, what: str) -> dict[str, object]:
        """Return a mapping with text keys; an empty one for nothing, and for what is refused and noted."""
        if raw is None:
            return {}
        if not isinstance(raw, Mapping):
            self.notes.refuse(f"{place} must be a mapping of {what}, not {shown(raw)}.")
            return {}
        for key in raw:
            if not isinstance(key, str):
                self.notes.refuse(f"{place} has a key that is not text: {shown(key)}.")
        return {key: value for key, value in raw.items() if isinstance(key, str)}

    def items(self, raw: object, *, place: str, what: str) -> list[object]:
        """Return a list; an empty one for nothing, and for what is refused and noted."""
        if raw is None or isinstance(raw, list):
            return raw or []
        self.notes.refuse(f"{place} must be a list of {what}, not {shown(raw)}.")
        return []

    def _judged(self, raw: object, word: Word, where: str) -> object:
        match word.verdict:
            case Verdict.HONOURED:
                return self._checked(raw, word.read, where, word.private)
            case Verdict.REFUSED:
                if raw not in _OFF:
                    self.notes.refuse(f"{where} is refused: {word.why}.")
            case Verdict.LATER | Verdict.NO_EFFECT:
                self._checked(raw, word.read, where, word.private)
                if raw is not None and not (word.silent and word.silent(raw)):
                    when = " in this release" if word.verdict is Verdict.LATER else ""
                    self.notes.warn(where, f"has no effect{when}: {word.why}.")
        return None

    def _checked(self, raw: object, read: Reader | None, where: str, private: bool) -> object:
        return self.value(raw, read, place=where, private=private) if read is not None else None

    def _resolved(self, raw: object, place: str) -> object:
        """Return a value with every variable in it replaced. Raises `LookupError` for a missing one."""
        if isinstance(raw, str) and raw.startswith(PREFIX):
            return self._variable(raw.removeprefix(PREFIX).strip(), place)
        if isinstance(raw, Mapping):
            return {key: self._resolved(each, f"{place}.{named(key)}") for key, each in raw.items()}
        if isinstance(raw, list):
            return [self._resolved(each, f"{place}[{i}]") for i, each in enumerate(raw)]
        return raw

    def _variable(self, name: str, place: str) -> str:
        if not name:
            raise LookupError(f"{place} names no variable: write {PREFIX}NAME.")
        text = self.environ.get(name, "")
        if not text.strip():
            state = "empty" if name in self.environ else "not set"
            raise LookupError(f"{place} needs the variable {named(name)}, which is {state}.")
        return FromVariable.of(text, variable=named(name))

    def _unknown(self, key: str, words: Vocabulary, *, where: str) -> str:
        for home in self.homes:
            word = home.find(key)
            if word is not None and word.verdict is not Verdict.NO_EFFECT:
                return f"{where} is not a key of {words.section}; it belongs in {home.section}."
        near = words.nearest(key)
        hint = f"; did you mean {near}?" if near else "."
        return f"{where} is not a known key{hint}"
