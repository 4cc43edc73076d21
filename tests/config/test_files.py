"""Configuration files: what is YAML enough, and how several files make one configuration."""

from pathlib import Path

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.config import load_settings
from taxiway.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "", "config.yaml is empty; a configuration has at least a model_list.", id="empty"
        ),
        pytest.param(
            "# nothing yet\n---\n",
            "config.yaml is empty; a configuration has at least a model_list.",
            id="only a comment",
        ),
        pytest.param(
            "- model_name: a",
            "config.yaml must be a mapping of sections such as model_list, not a list.",
            id="a list",
        ),
        pytest.param(
            "hello",
            "config.yaml must be a mapping of sections such as model_list, not 'hello'.",
            id="a word",
        ),
        pytest.param(
            "model_list: [",
            "config.yaml is not YAML: expected the node content, but found '<stream end>' in line 1,"
            " column 14.",
            id="broken",
        ),
        pytest.param(
            "a: 1\n---\nb: 2",
            "config.yaml is not YAML: but found another document in line 2, column 1.",
            id="two documents",
        ),
        pytest.param(
            "taxiway_settings:\n  port: 1\n  port: 2",
            "config.yaml is not YAML: the key port stands twice in line 3, column 3.",
            id="a key twice",
        ),
        pytest.param(
            "a: !!python/object:os.system {}",
            "config.yaml is not YAML: could not determine a constructor for the tag"
            " 'tag:yaml.org,2002:python/object:os.system' in line 1, column 4.",
            id="a foreign tag",
        ),
        pytest.param(
            "a: !!int x",
            "config.yaml is not YAML: a value does not fit its tag.",
            id="a wrong tag",
        ),
        pytest.param(
            "a: \x07",
            "config.yaml is not YAML: special characters are not allowed.",
            id="a bell",
        ),
        pytest.param(
            "a: &a [*a]", "config.yaml nests deeper than 32 levels.", id="a list that holds itself"
        ),
        pytest.param(
            "a: " + "[" * 2_000, "config.yaml nests deeper than 32 levels.", id="an endless nest"
        ),
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "\n".join(
                f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]"
                for a, b in zip("abcdef", "bcdefg", strict=True)
            ),
            "config.yaml holds more than 200000 values.",
            id="a file that multiplies",
        ),
        pytest.param(
            "1: {}", "config.yaml has a section whose name is not text: 1.", id="a section named 1"
        ),
    ],
)
def test_a_file_that_cannot_be_read(problems: Problems, text: str, sentence: str) -> None:
    """A file that is no configuration is refused in one sentence that says where it stops being one."""
    assert problems(text) == (sentence,)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        pytest.param("absent.yaml", "There is no file {}.", id="absent"),
        pytest.param(".", "{} cannot be read: Is a directory.", id="a folder"),
        pytest.param("a\0b", "{} cannot be read: its name is no path.", id="no path"),
        pytest.param("latin.yaml", "{} is not text in UTF-8.", id="Latin-1"),
    ],
)
def test_a_path_that_cannot_be_read(tmp_path: Path, path: str, sentence: str) -> None:
    """A path that leads to no text is refused by its name."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    wanted = tmp_path / path

    with pytest.raises(ConfigError) as caught:
        load_settings(path=wanted, environ=KEY)

    assert caught.value.problems == (sentence.format(wanted),)


def test_included_files(load: Load, tmp_path: Path) -> None:
    """Included files add to lists and to sections, each found beside the file that names it, each once."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "models.yaml").write_text(
        "model_list: [{model_name: b, litellm_params: {model: runwayml/gen4_image}}]\n"
        "include: [../config.yaml, rest.yaml]\n"
    )
    (tmp_path / "more" / "rest.yaml").write_text("taxiway_settings: {port: 5000, host: 127.0.0.1}")
    loaded = load(
        "include: [more/models.yaml]\n"
        "model_list: [{model_name: a, litellm_params: {model: runwayml/gen4_image}}]\n"
        "taxiway_settings: {log_level: debug, port: 5000}\n"
    )

    assert [d.model_name for d in loaded.settings.deployments] == ["a", "b"]
    assert (loaded.settings.port, loaded.settings.log_level) == (5000, "debug")


@pytest.mark.parametrize(
    ("text", "other", "sentence"),
    [
        pytest.param(
            "include: [other.yaml]\ntaxiway_settings: {port: 1}",
            "taxiway_settings: {port: 2}",
            "taxiway_settings.port in {} differs from another file's; keep one.",
            id="two values",
        ),
        pytest.param(
            "include: [other.yaml]\nmodel_list: []",
            "model_list: {}",
            "model_list in {} differs from another file's; keep one.",
            id="two kinds",
        ),
        pytest.param(
            "include: [other.yaml]",
            "",
            "{} is empty; a configuration has at least a model_list.",
            id="empty",
        ),
        pytest.param("include: [other.yaml]", None, "There is no file {}.", id="absent"),
        pytest.param(
            "include: other.yaml",
            "",
            "include in config.yaml must be a list of file names, not 'other.yaml'.",
            id="no list",
        ),
    ],
)
def test_included_files_that_do_not_fit(
    problems: Problems, tmp_path: Path, text: str, other: str | None, sentence: str
) -> None:
    """Files that contradict each other, or are not there, stop the start."""
    path = tmp_path / "other.yaml"
    if other is not None:
        path.write_text(other)

    assert problems(text) == (sentence.format(path),)


def test_too_many_files(problems: Problems, tmp_path: Path) -> None:
    """A hundred files are enough; more are a mistake."""
    names = [f"{n}.yaml" for n in range(101)]
    for name in names:
        (tmp_path / name).write_text("taxiway_settings: {}")

    assert problems(f"include: [{', '.join(names)}]") == (
        "config.yaml includes more than 100 files.",
    )
