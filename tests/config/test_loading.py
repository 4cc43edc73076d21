"""From a configuration file to settings: what is read, what is refused, and in which words."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.config.loading import KEY, Load, Problems

from taxiway.config import Loaded, describe, load_settings
from taxiway.settings import Deployment, Secret, Settings

CONFIGS = Path(__file__).parent / "files"


def test_the_smallest_file() -> None:
    """A model, a name and a key by its variable are a whole configuration."""
    loaded = load_settings(
        path=CONFIGS / "smallest.yaml", environ={"RUNWAYML_API_KEY": "key_of_the_account"}
    )

    assert loaded == Loaded(
        settings=Settings(
            deployments=(
                Deployment(
                    id="gen4-image-6f02de08",
                    model_name="gen4-image",
                    provider="runwayml",
                    model="gen4_image",
                    api_key=Secret("key_of_the_account"),
                ),
            )
        ),
        findings=(),
        files=(CONFIGS / "smallest.yaml",),
    )


def test_a_file_of_litellm() -> None:
    """A file written for LiteLLM starts unchanged, and what has no effect yet is named, once per key."""
    loaded = load_settings(
        path=CONFIGS / "litellm.yaml",
        environ={
            "RUNWAY_A": "key_a",
            "RUNWAY_B": "key_b",
            "LITELLM_MASTER_KEY": "sk-long-enough",
            "DATABASE_URL": "postgresql://taxiway:password@db/taxiway",
        },
    )
    found = loaded.settings

    assert [(d.id, d.model_name, d.model, d.timeout_s) for d in found.deployments] == [
        ("image-d1020b51", "image", "gen4_image", None),
        ("spare", "image", "gen4_image", None),
        ("image-fast-04ca377a", "image-fast", "gen4_image_turbo", 120.0),
    ]
    assert [d.api_key for d in found.deployments] == [
        Secret("key_a"),
        Secret("key_b"),
        Secret("key_a"),
    ]
    assert all(d.drop_params for d in found.deployments)
    assert (found.port, found.num_retries) == (4000, 2)
    assert found.master_key == Secret("sk-long-enough")
    assert found.database_url == "postgresql://taxiway:password@db/taxiway"
    assert [finding.key for finding in loaded.findings] == [
        "artifacts_url",
    ]


def test_a_file_without_models(load: Load) -> None:
    """A file that lists no models offers the whole catalogue, like no file at all."""
    loaded = load("taxiway_settings: {port: 5000}")
    bare = load_settings(path=None, environ=KEY)

    assert loaded.settings.deployments == bare.settings.deployments
    assert loaded.settings.port == 5000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "model_lists: []", "model_lists is not a known key; did you mean model_list?", id="top"
        ),
        pytest.param(
            "router_settings: {num_retry: 1}",
            "router_settings.num_retry is not a known key; did you mean num_retries?",
            id="router_settings",
        ),
        pytest.param(
            "litellm_settings: {drop_param: true}",
            "litellm_settings.drop_param is not a known key; did you mean drop_params?",
            id="litellm_settings",
        ),
        pytest.param(
            "general_settings: {masterkey: sk-1}",
            "general_settings.masterkey is not a known key; did you mean master_key?",
            id="general_settings",
        ),
        pytest.param(
            "taxiway_settings: {poll_intervals: 2}",
            "taxiway_settings.poll_intervals is not a known key; did you mean poll_interval_s?",
            id="taxiway_settings",
        ),
        pytest.param(
            "router_settings: {drop_params: true}",
            "router_settings.drop_params is not a key of router_settings; it belongs in"
            " litellm_settings.",
            id="in another section",
        ),
        pytest.param(
            "master_key: sk-1",
            "master_key is not a key of the file; it belongs in general_settings.",
            id="a setting at the top",
        ),
        pytest.param(
            "taxiway_settings: {zebra: 1}",
            "taxiway_settings.zebra is not a known key.",
            id="like nothing",
        ),
        pytest.param(
            "taxiway_settings: {1: 2}",
            "taxiway_settings has a key that is not text: 1.",
            id="a number",
        ),
        pytest.param(
            "taxiway_settings: {null: 2}",
            "taxiway_settings has a key that is not text: nothing.",
            id="no key at all",
        ),
        pytest.param(
            "taxiway_settings: [port]",
            "taxiway_settings must be a mapping of settings, not a list.",
            id="a section that is a list",
        ),
        pytest.param(
            "model_list: {model_name: a}",
            "model_list must be a list of entries, not a mapping.",
            id="a model_list that is a mapping",
        ),
    ],
)
def test_a_key_that_nobody_knows(problems: Problems, text: str, sentence: str) -> None:
    """A misspelt key stops the start, in every section, and the nearest known one is suggested."""
    assert problems(text) == (sentence,)


def test_every_problem_at_once(problems: Problems) -> None:
    """All that is wrong is said at once, a sentence each."""
    assert problems(
        """
        model_list: [{model_name: a, litellm_params: {model: runwayml/gen4_image, timeout: soon}}]
        router_settings: {num_retries: -1}
        taxiway_settings: {port: 70000, hots: 127.0.0.1}
        """
    ) == (
        "router_settings.num_retries must be a whole number of retries, 0 or more, not -1.",
        "taxiway_settings.port must be a port, from 0 (any free one) to 65535, not 70000.",
        "taxiway_settings.hots is not a known key; did you mean host?",
        "model_list[0].litellm_params.timeout must be a number of seconds above 0, not 'soon'.",
    )


def test_a_variable_in_a_file(load: Load) -> None:
    """`os.environ/NAME` stands for the variable in any text, and is read like the value it spells."""
    loaded = load(
        """
        model_list:
          - model_name: os.environ/NAME
            litellm_params:
              model: os.environ/MODEL
              api_key: os.environ/KEY
              timeout: os.environ/TIMEOUT
              drop_params: os.environ/DROP
              seed: os.environ/SEED
              extra_headers: {x-team: os.environ/TEAM}
        """,
        NAME="image",
        MODEL="runwayml/gen4_image",
        KEY="key_1",
        TIMEOUT="1e2",
        DROP="true",
        SEED="7",
        TEAM="blue",
    )
    (deployment,) = loaded.settings.deployments

    assert (deployment.model_name, deployment.model) == ("image", "gen4_image")
    assert (deployment.api_key, deployment.timeout_s) == (Secret("key_1"), 100.0)
    assert (deployment.drop_params, deployment.defaults) == (True, {"seed": 7})
    assert deployment.headers == {"x-team": "blue"}


@pytest.mark.parametrize(
    ("environ", "state"),
    [pytest.param({}, "not set", id="absent"), pytest.param({"NAME": " "}, "empty", id="blank")],
)
def test_a_variable_that_is_missing(
    problems: Problems, environ: dict[str, str], state: str
) -> None:
    """A variable that is not there stops the start, by its name and by the place that needs it."""
    text = """
        model_list:
          - model_name: a
            litellm_params: {model: gen4_image, extra_headers: {x-team: os.environ/NAME}}
        general_settings: {master_key: os.environ/NAME}
        """

    assert problems(text, **environ) == (
        f"general_settings.master_key needs the variable NAME, which is {state}.",
        f"model_list[0].litellm_params.extra_headers.x-team needs the variable NAME, which is {state}.",
    )


def test_a_variable_without_a_name(problems: Problems) -> None:
    """`os.environ/` alone names nothing."""
    assert problems("general_settings: {master_key: os.environ/ }") == (
        "general_settings.master_key names no variable: write os.environ/NAME.",
    )


def test_a_variable_that_nobody_needs(load: Load) -> None:
    """A variable of a key without effect, or of another vendor's entry, may be missing."""
    loaded = load(
        """
        model_list:
          - {model_name: chat, litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI}}
          - {model_name: image, litellm_params: {model: runwayml/gen4_image}}
        litellm_settings: {cache_params: {password: os.environ/REDIS_PASSWORD}}
        """
    )

    assert [d.model_name for d in loaded.settings.deployments] == ["image"]


def test_what_a_configuration_means(load: Load) -> None:
    """A description shows the deployments with sizes, price and whether there is a key, and no secret."""
    described = describe(
        load(
            """
            model_list:
              - {model_name: a, litellm_params: {model: runwayml/gen4_image}}
              - {model_name: b, litellm_params: {model: runwayml/gen9_image}}
            router_settings: {model_group_alias: {c: a}}
            general_settings: {master_key: sk-long-enough, database_url: "postgresql://u:pw@h/d"}
            taxiway_settings: {host: "::1"}
            """
        )
    )
    a, b = described.rows

    assert (described.address, described.database) == ("http://[::1]:4000", "postgresql")
    assert described.has_master_key
    assert (a.model_name, a.aliases, a.model) == ("a", ("c",), "runwayml/gen4_image")
    assert (a.has_key, a.sizes, a.price) == (True, 16, "$0.05 to $0.08")
    assert (b.sizes, b.price) == (None, "unknown")
    assert described.warnings == (
        (
            "model_list[1].litellm_params.model names 'gen9_image', which the catalogue does not know: its"
            " fields are not checked and its price is unknown; did you mean gen4_image?"
        ),
        "artifacts_url is not set: images stay with Runway, whose links expire after a day or two.",
    )


def test_what_may_be_spent(load: Load) -> None:
    """A description says the budgets of the service, of a provider and of a deployment."""
    described = describe(
        load(
            """
            model_list:
              - model_name: a
                litellm_params: {model: runwayml/gen4_image, max_budget: 10, budget_duration: 1d}
            router_settings: {provider_budget_config: {runwayml: {budget_limit: 50.5}}}
            litellm_settings: {max_budget: 100, budget_duration: 30d}
            """
        )
    )

    assert ("$10.00 every 1d",) == described.rows[0].limits
    assert {
        "All jobs may cost $100.00 every 30d; more is refused.",
        "The deployments of runwayml may cost $50.50 in all; then they take nothing new.",
    } <= set(described.routing)


def test_the_budget_of_a_provider_that_serves_nothing(load: Load) -> None:
    """A budget that holds for no deployment is named in a warning, with the provider it may have meant."""
    loaded = load(
        """
        router_settings:
          provider_budget_config: {runway: {budget_limit: 5, time_period: 1d}, openai: {max_budget: 2}}
        """
    )

    place = "router_settings.provider_budget_config"
    assert {
        f"{place}.runway has no effect: no deployment is of that provider; did you mean runwayml?",
        f"{place}.openai has no effect: no deployment is of that provider.",
    } == {finding.sentence for finding in loaded.findings}


@pytest.mark.looptime(False)
def test_what_an_import_costs() -> None:
    """The package imports neither a server nor a database nor YAML."""
    code = "import sys, taxiway.config; print({'aiohttp', 'sqlalchemy', 'yaml', 'rich'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == "set()\n"
