"""What a configuration never lets out: a secret, or anything but a refusal when it is wrong."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.config.loading import KEY, Load, Problems

from taxiway.config import describe, load_settings
from taxiway.errors import ConfigError


def outcome(file: Path, **environ: str) -> tuple[str, ...]:
    """Return the names that a configuration offers, or the sentences with which it is refused."""
    try:
        loaded = load_settings(path=file, environ=KEY | environ)
    except ConfigError as error:
        return error.problems
    return tuple(row.model_name for row in describe(loaded).rows)


SECRETS = ("hunter2", "swordfish", "tr0ub4dor")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("general_settings: {master_key: [hunter2]}", id="a key of the wrong type"),
        pytest.param("general_settings: {master_key: hunter2 hunter2}", id="a key with a blank"),
        pytest.param("general_settings: {database_url: hunter2}", id="a database address"),
        pytest.param("taxiway_settings: {public_url: 'http://a:hunter2@b'}", id="an address"),
        pytest.param("a: hunter2\n  b: [", id="broken YAML"),
        pytest.param("a: 'hunter2", id="an open quote"),
        pytest.param("general_settings: {hunter: 1, master_key: {a: hunter2}}", id="a mapping"),
        pytest.param(
            "taxiway_settings: {port: os.environ/SWORD}", id="a variable at the wrong place"
        ),
        pytest.param("environment_variables: {TAXIWAY_MASTER_KEY: hunter2}", id="a variable"),
        pytest.param(
            "model_list: [{model_name: a, litellm_params: {model: gen4_image, api_key: hunter2 2,"
            " api_base: hunter2, extra_headers: {x: [tr0ub4dor]}}}]",
            id="an entry",
        ),
        pytest.param("taxiway_settings: {log_level: sk-hunter2}", id="a key at the wrong place"),
    ],
)
def test_a_refusal_keeps_secrets(problems: Problems, text: str) -> None:
    """No refusal repeats what may be a secret."""
    said = " ".join(problems(text, SWORD="swordfish", RUNWAYML_API_KEY="tr0ub4dor tr0ub4dor"))

    assert [secret for secret in SECRETS if secret in said] == []


def test_settings_keep_secrets(load: Load) -> None:
    """Settings and findings can be printed: keys, passwords and headers do not appear."""
    loaded = load(
        """
        model_list:
          - model_name: a
            litellm_params:
              {model: runwayml/gen4_image, api_key: hunter2, extra_headers: {x-key: swordfish}}
        general_settings: {master_key: hunter2, database_url: "postgresql://u:tr0ub4dor@h/d"}
        """
    )
    shown = repr(loaded) + str(describe(loaded))

    assert [secret for secret in SECRETS if secret in shown] == []


SECTIONS = ("router_settings", "litellm_settings", "general_settings", "taxiway_settings")
TEXTS = ("", "a", "*", "os.environ/A", "runwayml/*", "runwayml/gen4_image", "1e3", "true", "\x00")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(TEXTS) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("model_name", "litellm_params", "model_info", "model", "api_key", "api_base", "timeout"),
        *("extra_headers", "seed", "ratio", "referenceImages", "id", "mode", "num_retries"),
        *("model_group_alias", "fallbacks", "master_key", "database_url", "host", "port"),
        *("cors_origins", "public_url", "credential_name", "credential_values"),
        "litellm_credential_name",
    ]
)
SECTION = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=4)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "model_list": VALUES | st.lists(SECTION, max_size=3),
        "credential_list": VALUES | st.lists(SECTION, max_size=2),
        "environment_variables": VALUES,
        "include": VALUES,
        **dict.fromkeys(SECTIONS, SECTION | VALUES),
    },
)


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(document=DOCUMENTS)
def test_any_document(file: Path, document: dict[str, object]) -> None:
    """Whatever a file holds, it either loads or is refused; nothing else ever comes out."""
    file.write_text(yaml.safe_dump(document), encoding="utf-8")

    assert outcome(file, A="b")


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(text=st.text() | st.text(alphabet="a:[]{}-&*!'\"|>\n #<0x.,?%@`"))
@example("? []")
@example("=: 1")
@example("a: !!timestamp x")
@example("a: !!bool maybe")
@example("<<: 1")
def test_any_text(file: Path, text: str) -> None:
    """Whatever stands in a file, it either loads or is refused; nothing else ever comes out."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    said = outcome(file)

    assert not any("\n" in sentence for sentence in said)
