"""Configuration files: from YAML, with the files they include, to one plain document.

LiteLLM reads the same files with the same library, so what is YAML to one is YAML to the other. Three things
are stricter here: a key that stands twice is refused instead of lost, a date stays the text it is written
as, and two files may not give one setting different values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from taxiway.config.showing import named, shown
from taxiway.errors import ConfigError

if TYPE_CHECKING:
    import yaml

#: Deeper than any real configuration; also what ends a document that contains itself.
DEPTH_MAX = 32

#: More values than any real configuration; also what ends a document that multiplies by its anchors.
VALUES_MAX = 200_000

#: Included files altogether.
FILES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A configuration file with all it includes."""

    sections: dict[str, object]
    files: tuple[Path, ...] = ()
    """Where it stands, by the names that lead there."""


def read_document(path: Path) -> Document:
    """Return a configuration file with all it includes. Raises `ConfigError` if it cannot be read.

    Lists of several files are joined in the order of reading. A section that stands in several files is
    their union.
    """
    document: dict[str, object] = {}
    files: list[Path] = []
    waiting, seen = [path], {_real(path)}
    while waiting:
        current = waiting.pop(0)
        files.append(current)
        part = _read(current)
        for included in _includes(part.pop("include", None), beside=current):
            if (real := _real(included)) not in seen:
                seen.add(real)
                waiting.append(included)
        if len(seen) > FILES_MAX:
            raise ConfigError(f"{path} includes more than {FILES_MAX} files.")
        _join(document, part, path=current)
    return Document(sections=document, files=tuple(files))


def _read(path: Path) -> dict[str, object]:
    content = _parsed(_text(path), path=path)
    if content is None:
        raise ConfigError(f"{path} is empty; a configuration has at least a model_list.")
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} must be a mapping of sections such as model_list, not {shown(content)}."
        )
    _measure(content, path=path)
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(f"{path} has a section whose name is not text: {shown(key)}.")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text in UTF-8.") from None
    except (OSError, ValueError) as error:  # ValueError: a path that no system call takes
        why = error.strerror if isinstance(error, OSError) else "its name is no path"
        raise ConfigError(f"{path} cannot be read: {why}.") from None


def _parsed(text: str, *, path: Path) -> object:
    import yaml  # a start without a file need not pay for it

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        # Never `str(error)`: it quotes the text around the mark, and a key may stand there.
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = error.problem or error.context
        raise ConfigError(f"{path} is not YAML: {what}{where}.") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{path} is not YAML: {error.reason}.") from None
    except RecursionError:
        raise ConfigError(f"{path} nests deeper than {DEPTH_MAX} levels.") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        # PyYAML lets its constructors' own errors through: `!!int x`, `!!bool maybe`, an endless number.
        raise ConfigError(f"{path} is not YAML: a value does not fit its tag.") from None


@cache
def _loader() -> "type[yaml.SafeLoader]":
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML without dates and without keys that stand twice."""

        def construct_mapping(
            self, node: yaml.MappingNode, deep: bool = False
        ) -> dict[object, object]:
            keys: set[str] = set()
            for key_node, _ in node.value:
                key = key_node.value
                if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                    continue
                if key in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {named(key)} stands twice", key_node.start_mark
                    )
                keys.add(key)
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _measure(content: object, *, path: Path) -> None:
    level: list[object] = [content]
    left = VALUES_MAX
    for _ in range(DEPTH_MAX):
        level = list(islice((child for each in level for child in _children(each)), left + 1))
        left -= len(level)
        if left < 0:
            raise ConfigError(f"{path} holds more than {VALUES_MAX} values.")
        if not level:
            return
    raise ConfigError(f"{path} nests deeper than {DEPTH_MAX} levels.")


def _children(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (list, tuple, set)):
        yield from value


def _includes(raw: object, *, beside: Path) -> list[Path]:
    if raw is None:
        return []
    if not isinstance(raw, list) or not all(isinstance(each, str) and each for each in raw):
        raise ConfigError(f"include in {beside} must be a list of file names, not {shown(raw)}.")
    return [beside.parent / each for each in raw]


def _join(document: dict[str, object], part: Mapping[str, object], *, path: Path) -> None:
    for key, value in part.items():
        present = document.get(key)
        if present is None:
            document[key] = value
        elif isinstance(present, list) and isinstance(value, list):
            document[key] = [*present, *value]
        elif isinstance(present, dict) and isinstance(value, dict):
            document[key] = _united(present, value, section=key, path=path)
        elif value is not None and value != present:
            raise ConfigError(f"{named(key)} in {path} differs from another file's; keep one.")


def _united(
    one: Mapping[object, object], other: Mapping[object, object], *, section: str, path: Path
) -> dict[object, object]:
    for key in one.keys() & other.keys():
        if one[key] != other[key]:
            raise ConfigError(
                f"{named(section)}.{named(key)} in {path} differs from another file's; keep one."
            )
    return {**one, **other}


def _real(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links, or no path at all
        return str(path)
