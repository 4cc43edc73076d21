"""A TOML table, read key by key: each value has the type it should have, and no key is left over."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TypeGuard, TypeVar

from taxiway.errors import ConfigError

Value = TypeVar("Value")
Word = TypeVar("Word", bound=StrEnum)


class Table:
    """One table of a data file. Each key is taken once; `close` refuses what was never asked for.

    `place` names the table in messages. Every reader raises `ConfigError` for a value of another type.
    """

    __slots__ = ("_place", "_rest")

    def __init__(self, values: Mapping[str, object], *, place: str) -> None:
        self._rest = dict(values)
        self._place = place

    def text(self, key: str) -> str:
        """Return the string under a key that must be there."""
        return self._need(key, self.text_or_none(key))

    def text_or_none(self, key: str) -> str | None:
        """Return the string under the key, None without one."""
        value = self._rest.pop(key, None)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "a string")

    def word_or_none(self, key: str, words: type[Word]) -> Word | None:
        """Return the word under the key, None without one."""
        value = self.text_or_none(key)
        if value is None:
            return None
        if value in set(words):
            return words(value)
        raise self._wrong(key, " or ".join(words))

    def word(self, key: str, words: type[Word]) -> Word:
        """Return the word under a key that must be there."""
        return self._need(key, self.word_or_none(key, words))

    def number(self, key: str) -> int:
        """Return the integer under a key that must be there."""
        return self._need(key, self.number_or_none(key))

    def number_or_none(self, key: str) -> int | None:
        """Return the integer under the key, None without one."""
        value = self._rest.pop(key, None)
        if value is None or _is_integer(value):
            return value
        raise self._wrong(key, "an integer")

    def flag(self, key: str) -> bool:
        """Return the boolean under the key, False without one."""
        value = self._rest.pop(key, False)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "true or false")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings listed under the key, none without it."""
        values = self._list(key)
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) == len(values):
            return texts
        raise self._wrong(key, "a list of strings")

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return the integers listed under the key, none without it."""
        values = self._list(key)
        numbers = tuple(value for value in values if _is_integer(value))
        if len(numbers) == len(values):
            return numbers
        raise self._wrong(key, "a list of integers")

    def pair_or_none(self, key: str) -> tuple[int, int] | None:
        """Return the two integers listed under the key, None without it."""
        match self.numbers(key):
            case ():
                return None
            case (first, second):
                return first, second
            case _:
                raise self._wrong(key, "a list of two integers")

    def table(self, key: str) -> "Table | None":
        """Return the table under the key, None without one."""
        value = self._rest.pop(key, None)
        if value is None:
            return None
        if isinstance(value, Mapping):
            return Table(value, place=f"{self._place}.{key}")
        raise self._wrong(key, "a table")

    def tables(self, key: str) -> Iterator["Table"]:
        """Yield the tables listed under the key; one that has an `id` is named by it."""
        for index, value in enumerate(self._list(key)):
            if not isinstance(value, Mapping):
                raise self._wrong(key, "a list of tables")
            yield Table(value, place=f"{self._place}.{key}[{value.get('id', index)}]")

    def remaining(self) -> tuple[str, ...]:
        """Return the keys that have not been taken, in the file's order."""
        return tuple(self._rest)

    def close(self) -> None:
        """Raise `ConfigError` if a key was never asked for: it is misspelt, or means nothing."""
        for key in self._rest:
            raise ConfigError(f"{self._place}.{key} is not a key that stands here.")

    def _list(self, key: str) -> list[object]:
        value = self._rest.pop(key, [])
        if isinstance(value, list):
            return value
        raise self._wrong(key, "a list")

    def _need(self, key: str, value: Value | None) -> Value:
        if value is None:
            raise ConfigError(f"{self._place}.{key} is missing.")
        return value

    def _wrong(self, key: str, kind: str) -> ConfigError:
        return ConfigError(f"{self._place}.{key} must be {kind}.")


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)  # TOML's true is no number
