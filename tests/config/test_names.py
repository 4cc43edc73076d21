"""The names of deployments: ids, patterns, accounts that are shared, and aliases."""

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.catalogue.models import models
from taxiway.config import Loaded, load_settings
from taxiway.settings import Secret

SERVED = "  - {model_name: served, litellm_params: {model: runwayml/gen4_image}}\n"


def said(loaded: Loaded) -> list[str]:
    """Return the warnings of a configuration."""
    return [finding.sentence for finding in loaded.findings]


def test_ids(load: Load) -> None:
    """An id follows from the names, outlives an edit of key and price, and tells twins apart."""
    twin = "  - {model_name: a, litellm_params: {model: runwayml/gen4_image, api_key: %s}}\n"
    other = "  - {model_name: 'größe a/b', litellm_params: {model: runwayml/gen4_image}}\n"
    before = load("model_list:\n" + twin % "key_1" + twin % "key_2" + other)
    after = load("model_list:\n" + other + twin % "key_3" + twin % "key_4")
    ids = [d.id for d in before.settings.deployments]

    assert ids == ["a-c63799c7", "a-c63799c7-2", "gr-e-a-b-ae576e51"]
    assert [d.id for d in after.settings.deployments] == [ids[2], ids[0], ids[1]]


@pytest.mark.parametrize(("given", "expected"), [("spare", "spare"), ("7", "7")])
def test_a_given_id(load: Load, given: str, expected: str) -> None:
    """`model_info.id` is the deployment's id."""
    params = "{model: runwayml/gen4_image}"
    entry = f"{{model_name: a, litellm_params: {params}, model_info: {{id: {given}}}}}"

    assert [d.id for d in load(f"model_list: [{entry}]").settings.deployments] == [expected]


def test_patterns(load: Load) -> None:
    """A `*` offers every model of the catalogue that it matches; an entry of its own goes before it."""
    loaded = load(
        """
model_list:
  - {model_name: runwayml/*, litellm_params: {model: runwayml/*}, model_info: {id: all}}
  - {model_name: runwayml/gen4_image, litellm_params: {model: runwayml/gen4_image, timeout: 9}}
  - model_name: dream-*
    litellm_params: {model: runwayml/seedream5_*, outputFormat: jpeg, grounding: true}
"""
    )
    offered = {d.model_name: d for d in loaded.settings.deployments}

    assert set(offered) == {f"runwayml/{name}" for name in models()} | {
        "dream-pro",
        "dream-lite",
        "dream-flash",
    }
    assert offered["runwayml/gen4_image"].timeout_s == 9.0
    assert offered["runwayml/muse_image"].id == "all:muse_image"
    assert offered["dream-lite"].defaults == {"outputFormat": "jpeg", "grounding": True}
    assert offered["dream-flash"].defaults == {"outputFormat": "jpeg"}
    assert said(loaded) == [
        (
            "model_list[2].litellm_params.grounding has no effect on seedream5_flash: the field is not"
            " theirs."
        )
    ]


def test_a_pattern_of_everything(load: Load) -> None:
    """A bare `*` is the whole catalogue, like no list at all."""
    loaded = load("model_list: [{model_name: '*', litellm_params: {model: runwayml/*}}]")
    bare = load_settings(path=None, environ=KEY)

    assert loaded.settings == bare.settings


def test_credentials(load: Load) -> None:
    """Entries share an account by the name of a credential; what an entry says itself goes before it."""
    loaded = load(
        """
model_list:
  - {model_name: a, litellm_params: {model: runwayml/gen4_image, litellm_credential_name: one}}
  - model_name: b
    litellm_params: {model: runwayml/gen4_image, litellm_credential_name: one, api_key: key_2}
credential_list:
  - credential_name: one
    credential_values: {api_key: os.environ/ONE, api_base: "http://127.0.0.1:9000"}
    credential_info: {description: the first}
  - {credential_name: two, credential_values: {api_key: os.environ/TWO}}
""",
        ONE="key_1",
    )

    assert [(d.api_key, d.api_base) for d in loaded.settings.deployments] == [
        (Secret("key_1"), "http://127.0.0.1:9000"),
        (Secret("key_2"), "http://127.0.0.1:9000"),
    ]


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        pytest.param(
            "[{credential_name: once}]",
            "model_list[0].litellm_params.litellm_credential_name is 'one', which credential_list does"
            " not have; did you mean once?",
            id="absent",
        ),
        pytest.param(
            "[{credential_name: one, credential_values: {api_key: os.environ/ONE}}]",
            "credential_list[0].credential_values.api_key needs the variable ONE, which is not set.",
            id="a variable is missing",
        ),
        pytest.param(
            "[{credential_name: one, credential_values: {api_kye: a}}]",
            "credential_list[0].credential_values.api_kye is not a known key; did you mean api_key?",
            id="misspelt",
        ),
        pytest.param(
            "[{credential_name: one}, {credential_name: one}]",
            "credential_list[1].credential_name is that of credential_list[0].",
            id="twice",
        ),
        pytest.param(
            "[{credential_name: one}, {credential_name: 2}]",
            "credential_list[1].credential_name must be a name, in text.",
            id="a number",
        ),
    ],
)
def test_a_credential_that_cannot_be(problems: Problems, listed: str, sentence: str) -> None:
    """A credential that is absent, wrong or ambiguous stops the start."""
    params = "{model: gen4_image, litellm_credential_name: one}"
    text = f"model_list: [{{model_name: a, litellm_params: {params}}}]\ncredential_list: {listed}"

    assert problems(text) == (sentence,)


def test_aliases(load: Load) -> None:
    """An alias is a further name; one of a skipped entry is left out, and a hidden one is not listed."""
    loaded = load(
        "model_list:\n"
        + SERVED
        + "  - {model_name: chat, litellm_params: {model: cohere/command}}\n"
        + "router_settings:\n"
        + "  model_group_alias: {a: served, b: {model: served, hidden: true}, c: chat}\n"
    )

    assert loaded.settings.aliases == {"a": "served", "b": "served"}
    assert said(loaded) == [
        "model_list[1] is skipped: it belongs to 'cohere', and Taxiway serves runwayml and openai.",
        (
            "router_settings.model_group_alias.c is skipped, since model_list[1] is skipped: it"
            " belongs to 'cohere', and Taxiway serves runwayml and openai."
        ),
    ]


@pytest.mark.parametrize(
    ("aliases", "sentence"),
    [
        pytest.param(
            "{a: serve}",
            ".a leads to 'serve', which no entry of model_list bears; did you mean served?",
            id="to nothing",
        ),
        pytest.param(
            "{served: served}",
            ".served is a model_name itself; one name cannot mean two things.",
            id="a model_name",
        ),
        pytest.param("{a: {hidden: true}}", ".a.model is missing.", id="no model"),
        pytest.param(
            "{a: {model: served, hide: true}}",
            ".a has the key hide; it takes model and hidden.",
            id="an unknown key",
        ),
        pytest.param("[a]", " must be a mapping of names, not a list.", id="a list"),
        pytest.param(
            "{a: 1}", ".a must be a model_name, in one line of text, not 1.", id="to a number"
        ),
    ],
)
def test_an_alias_that_cannot_be(problems: Problems, aliases: str, sentence: str) -> None:
    """An alias that leads nowhere, or two ways, stops the start."""
    text = f"model_list:\n{SERVED}router_settings: {{model_group_alias: {aliases}}}"

    assert problems(text) == (f"router_settings.model_group_alias{sentence}",)
