"""From `model_list` to deployments: which entries are offered, under which names, with which settings."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.catalogue.models import models
from taxiway.config import Loaded, load_settings
from taxiway.errors import ConfigError
from taxiway.settings import Deployment, Secret

SERVED = "  - {model_name: served, litellm_params: {model: runwayml/gen4_image}}\n"


def said(loaded: Loaded) -> list[str]:
    """Return the warnings of a configuration."""
    return [finding.sentence for finding in loaded.findings]


def test_no_file() -> None:
    """With no file every model of the catalogue is offered, under its name and under the vendor's prefix."""
    loaded = load_settings(path=None, environ=KEY)
    names = [d.model_name for d in loaded.settings.deployments]

    assert names == list(models())
    assert loaded.settings.aliases == {f"runwayml/{name}": name for name in models()}
    assert len({d.id for d in loaded.settings.deployments}) == len(names)
    assert loaded.findings == ()


def test_no_file_and_no_key() -> None:
    """With no file and no key the refusal says where a key goes, and what needs none."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path=None, environ={})

    assert caught.value.problems == (
        (
            "There is no API key for Runway: set RUNWAYML_API_SECRET, or run `taxiway demo`, which needs"
            " none."
        ),
    )


def test_an_entry_without_a_key(tmp_path: Path) -> None:
    """An entry without any key stops the start."""
    path = tmp_path / "config.yaml"
    path.write_text("model_list: [{model_name: a, litellm_params: {model: runwayml/gen4_image}}]")

    with pytest.raises(ConfigError) as caught:
        load_settings(path=path, environ={})

    assert caught.value.problems == (
        (
            "model_list[0].litellm_params.api_key is missing, and the variable RUNWAYML_API_SECRET is not"
            " set."
        ),
    )


@pytest.mark.parametrize(
    ("params", "field", "expected"),
    [
        ("api_key: key_1", "api_key", Secret("key_1")),
        ("api_key: ", "api_key", Secret("key_of_the_account")),
        ("api_base: 'http://127.0.0.1:9000/'", "api_base", "http://127.0.0.1:9000"),
        ("api_base: 'https://a.example/x/v1/'", "api_base", "https://a.example/x"),
        ("api_version: 2025-01-01", "api_version", "2025-01-01"),
        ("timeout: 30", "timeout_s", 30.0),
        ("num_retries: 0", "num_retries", 0),
        ("drop_params: true", "drop_params", True),
        ("ssl_verify: false", "verify_tls", False),
        ("extra_headers: {x-a: b, x-c: 1}", "headers", {"x-a": "b", "x-c": "1"}),
        ("custom_llm_provider: runwayml", "provider", "runwayml"),
        ("seed: 5, ratio: '1024:1024'", "defaults", {"seed": 5, "ratio": "1024:1024"}),
    ],
)
def test_an_entry_s_settings(
    entry: Callable[..., Deployment], params: str, field: str, expected: object
) -> None:
    """An entry's own parameters become its deployment's settings."""
    assert getattr(entry(params), field) == expected


def test_settings_for_every_entry(load: Load) -> None:
    """`litellm_settings` hold for every entry that does not say otherwise."""
    loaded = load(
        "litellm_settings: {drop_params: true, ssl_verify: false}\n"
        "model_list:\n"
        "  - {model_name: a, litellm_params: {model: runwayml/gen4_image}}\n"
        "  - {model_name: b, litellm_params: {model: runwayml/gen4_image, drop_params: false,"
        " ssl_verify: true}}\n"
    )

    assert [(d.drop_params, d.verify_tls) for d in loaded.settings.deployments] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("runwayml/gen4_image", "", "gen4_image"),
        ("gen4_image", "", "gen4_image"),
        ("gen4_image", ", custom_llm_provider: runwayml", "gen4_image"),
        ("runwayml/gen4_image", ", custom_llm_provider: runwayml", "gen4_image"),
        ("runwayml/", "", "gen4_image"),
        ("runwayml/gemini_2.5_flash", "", "gemini_2.5_flash"),
        ("gen9_image", ", custom_llm_provider: runwayml", "gen9_image"),
    ],
)
def test_the_name_of_a_model(load: Load, model: str, provider: str, expected: str) -> None:
    """A model may bear the vendor's prefix or not; the prefix alone is Gen-4 Image."""
    loaded = load(f"model_list: [{{model_name: a, litellm_params: {{model: {model}{provider}}}}}]")

    assert [(d.provider, d.model) for d in loaded.settings.deployments] == [("runwayml", expected)]


def test_a_model_that_the_catalogue_does_not_know(load: Load) -> None:
    """A model that is newer than the catalogue is offered, unchecked, with a warning."""
    loaded = load(
        "model_list: [{model_name: a, litellm_params: {model: runwayml/gen5_image, quality: best}}]"
    )

    assert loaded.settings.deployments[0].defaults == {"quality": "best"}
    assert said(loaded) == [
        (
            "model_list[0].litellm_params.model names 'gen5_image', which the catalogue does not know: its"
            " fields are not checked and its price is unknown; did you mean gen4_image?"
        )
    ]


@pytest.mark.parametrize(
    ("skipped", "why"),
    [
        pytest.param(
            "{model: replicate/flux}",
            "it belongs to 'replicate', and Taxiway serves runwayml and openai.",
            id="another vendor",
        ),
        pytest.param(
            "{model: titan-image, custom_llm_provider: bedrock, aws_region_name: x, unheard_of: 1}",
            "it belongs to 'bedrock', and Taxiway serves runwayml and openai.",
            id="another vendor by custom_llm_provider",
        ),
        pytest.param(
            "{model: runway/gen4_image}",
            "it belongs to 'runway', and Taxiway serves runwayml and openai; did you mean runwayml?",
            id="nearly the vendor",
        ),
        pytest.param(
            "{model: gen4_imge}",
            "the catalogue has no model 'gen4_imge'; if it is Runway's, write runwayml/ before it;"
            " did you mean gen4_image?",
            id="nobody's",
        ),
        pytest.param(
            "{model: runwayml/gen4_image}, model_info: {mode: chat}",
            "its mode is 'chat', and Taxiway serves image_generation.",
            id="another mode",
        ),
        pytest.param(
            "{model: runwayml/gen4_image}, model_info: {team_id: blue}",
            "team_id keeps it to some callers, and Taxiway would offer it to all.",
            id="a team's",
        ),
        pytest.param(
            "{model: runwayml/gen4_image, mock_response: 'http://a'}",
            "mock_response has no effect in this release, and it would buy real images.",
            id="a mock",
        ),
    ],
)
def test_an_entry_that_is_skipped(load: Load, problems: Problems, skipped: str, why: str) -> None:
    """An entry that must not be offered is left out with a warning; where nothing is left, nothing starts."""
    text = f"model_list:\n  - {{model_name: other, litellm_params: {skipped}}}\n"
    loaded = load(text + SERVED)

    assert [d.model_name for d in loaded.settings.deployments] == ["served"]
    assert said(loaded) == [f"model_list[0] is skipped: {why}"]
    assert problems(text) == (
        f"model_list leaves nothing to serve: model_list[0] is skipped: {why}",
    )


def test_many_entries_with_the_same_to_say(load: Load) -> None:
    """What holds for many entries is said once, with the first of their numbers."""
    chat = "  - {model_name: chat, litellm_params: {model: openai/gpt-5}}\n"
    loaded = load("model_list:\n" + SERVED + chat * 9)

    assert said(loaded) == [
        (
            "model_list[1, 2, 3, 4, 5, 6, …] is skipped: nothing says that 'gpt-5' makes images; if it does,"
            " set model_info.mode to image_generation."
        )
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("[]", "model_list leaves nothing to serve: it is empty.", id="empty"),
        pytest.param(
            "[image]",
            "model_list[0] must be a mapping of model_name and litellm_params, not 'image'.",
            id="a word",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {}}]",
            "model_list[0].litellm_params.model is missing.",
            id="no model",
        ),
        pytest.param(
            "[{litellm_params: {model: gen4_image}}]",
            "model_list[0].model_name is missing.",
            id="no name",
        ),
        pytest.param(
            "[{model_name: 1, litellm_params: {model: gen4_image}}]",
            "model_list[0].model_name must be a name, in one line of text, not 1.",
            id="a number",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image}, model_infos: {}}]",
            "model_list[0].model_infos is not a known key; did you mean model_info?",
            id="an unknown key",
        ),
        pytest.param(
            "[{model_name: a, api_key: b, litellm_params: {model: gen4_image}}]",
            "model_list[0].api_key is not a key of an entry of model_list; it belongs in"
            " litellm_params.",
            id="a key at the wrong level",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image, api_bas: b}}]",
            "model_list[0].litellm_params.api_bas is not a known key; did you mean api_base?",
            id="an unknown parameter",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image, size: 1024x1024}}]",
            "model_list[0].litellm_params.size is not a known key; did you mean ratio?",
            id="OpenAI's name of a field",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image}, model_info: {ids: b}}]",
            "model_list[0].model_info.ids is not a known key; did you mean id?",
            id="an unknown fact",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image}, model_info: {id: a b}}]",
            "model_list[0].model_info.id must be an identifier of at most 128 ASCII characters without"
            " blanks, not 'a b'.",
            id="an id with a blank",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image, extra_headers: {authorization: b}}}]",
            "model_list[0].litellm_params.extra_headers must be a mapping without authorization, which"
            " Taxiway sets itself.",
            id="a header of its own",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image, quality: high}}]",
            "model_list[0].litellm_params.quality is not a field of gen4_image.",
            id="a field of another model",
        ),
        *(
            pytest.param(
                f"[{{model_name: a, litellm_params: {{model: gen4_image, extra_headers: {headers}}}}}]",
                "model_list[0].litellm_params.extra_headers must be a mapping of header names to"
                f" texts{end}",
                id=f"headers {headers}",
            )
            for headers, end in (
                ("x-a", "."),
                ("{1: a}", "."),
                ("{x-a: [b]}", ", and x-a is not one line of ASCII."),
                ('{x-a: "b\\nc"}', ", and x-a is not one line of ASCII."),
            )
        ),
        pytest.param(
            "[{model_name: 'a*', litellm_params: {model: gen4_image}}]",
            "model_list[0] must have one * in model_name and one in litellm_params.model, or none in"
            " either.",
            id="half a pattern",
        ),
        pytest.param(
            "[{model_name: '*', litellm_params: {model: runwayml/gen9*}}]",
            "model_list[0].litellm_params.model matches no model of the catalogue.",
            id="a pattern of nothing",
        ),
        pytest.param(
            "[{model_name: a, litellm_params: {model: gen4_image}, model_info: {id: x}},"
            " {model_name: b, litellm_params: {model: gen4_image}, model_info: {id: x}}]",
            "model_list[1].model_info.id 'x' is that of model_list[0].",
            id="an id twice",
        ),
    ],
)
def test_an_entry_that_cannot_be(problems: Problems, text: str, sentence: str) -> None:
    """A wrong entry stops the start by its place."""
    assert problems(f"model_list: {text}") == (sentence,)


def test_a_name_that_falls_back_to_itself(load: Load) -> None:
    """It changes nothing, and is said: whoever wrote it meant another name."""
    loaded = load(
        """
        model_list:
          - {model_name: image, litellm_params: {model: runwayml/gen4_image}}
          - {model_name: spare, litellm_params: {model: runwayml/gen4_image}}
        router_settings: {fallbacks: [{image: [image]}, {spare: [spare, image]}]}
        """
    )

    assert {"spare": ("image",)} == loaded.settings.routing.fallbacks
    assert [
        "router_settings.fallbacks.image falls back to itself, which is tried already.",
        "router_settings.fallbacks.spare falls back to itself, which is tried already.",
    ] == [finding.sentence for finding in loaded.findings]


def test_what_names_an_entry_that_cannot_be(problems: Problems) -> None:
    """An entry that is refused is the only fault: names that lead to it are not called unknown."""
    text = """
        model_list:
          - {model_name: image, litellm_params: {model: runwayml/gen4_image, cooldown_times: 3}}
          - {model_name: spare, litellm_params: {model: runwayml/gen4_image}}
        router_settings: {fallbacks: [{spare: [image]}], model_group_alias: {picture: image}}
    """

    assert problems(text) == (
        "model_list[0].litellm_params.cooldown_times is not a known key; did you mean cooldown_time?",
    )
